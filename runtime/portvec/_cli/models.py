"""The command `portvec models`."""

from __future__ import annotations

from dataclasses import asdict

import click

from portvec._cli.options import json_option, quiet_option
from portvec._cli.output import emit, inform
from portvec._known_models import KnownModel, known_models


@click.command()
@json_option
@quiet_option
def models(as_json: bool) -> None:
    """List models on the Hub that portvec can read, with published facts and scores.

    MB is the size of the table as float32. Compare only scores of the same benchmark. --json prints all that
    is known of each model, with sources.
    """
    known = known_models()
    emit(as_json, [{**asdict(model), "float32_mb": model.float32_mb} for model in known], *_lines(known))
    if not as_json:
        inform("* its training data has terms of its own: see 'restrictions' in portvec models --json")


def _lines(known: list[KnownModel]) -> list[str]:
    """Return the lines of a table."""
    rows = [("model", "dim", "MB", "languages", "licence", "scores")]
    for model in known:
        size = f"{model.float32_mb:.1f}"
        languages = model.languages or "not verified"
        licence = model.license + (" *" if model.restrictions else "")
        scores = ", ".join(map(str, model.scores)) or "none found"
        rows.append((model.id, str(model.dim), size, languages, licence, scores))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            f"{cell:{'>' if name in ('dim', 'MB') else '<'}{width}}"
            for name, cell, width in zip(rows[0], row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]
