"""Write portvec's catalogue into models/README.md: the table of known models, and the list of sources.

python tests/tools/known_models_page.py
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from portvec._known_models import SOURCES, KnownModel, known_models

PAGE = Path(__file__).parents[2] / "models" / "README.md"
HEADING = "## Known models\n\n"
HEADERS = (
    "Hub id",
    "parameters",
    "dim",
    "rows",
    "tokenizer",
    "languages",
    "licence",
    "float32 MB",
    "what to expect",
)
NUMBERS = ("parameters", "dim", "rows", "float32 MB")


def update(page: str) -> str:
    """Return the page with the table and the sources of the catalogue in place of its own."""
    page, tables = re.subn(rf"(?<={HEADING})(?:\|.*\n)+", lambda _: table(), page)
    page, lists = re.subn(r"^Sources: (?:.+\n)+", lambda _: sources(), page, flags=re.MULTILINE)
    assert (tables, lists) == (1, 1), (
        f"{PAGE.name} has {tables} tables under its heading, and {lists} lists of sources"
    )
    return page


def table() -> str:
    """Return the models as a table in Markdown."""
    line = ["--:" if header in NUMBERS else "---" for header in HEADERS]
    rows = [f"| {' | '.join(HEADERS)} |", f"|{'|'.join(line)}|"]
    rows += [f"| {' | '.join(cells(model))} |" for model in known_models()]
    return "\n".join(rows) + "\n"


def cells(model: KnownModel) -> list[str]:
    """Return the cells of a model's row."""

    def cite(name: str, text: str) -> str:
        return text + "".join(map(mark, model.sources.get(name, ())))

    if model.rows is None:  # then the number of parameters is rounded
        rows = f"~{float(f'{model.parameters / model.dim:.3g}'):,.0f}"
        parameters, size = f"{model.parameters / 1e6:.3g}M", f"~{model.float32_mb:.3g}"
    else:
        rows = f"{model.rows:,}"
        parameters, size = f"{model.parameters / 1e6:.2f}M", f"{model.float32_mb:.1f}"
    scores = [f"{score}{mark(score.source)}" for score in model.scores]
    return [
        f"`{model.id}`",
        cite("parameters", parameters),
        f"{model.dim}",
        cite("rows", rows),
        cite("tokenizer", model.tokenizer or "not verified"),
        cite("languages", model.languages or "not verified"),
        cite("license", model.license) + (", see below" if model.restrictions else ""),
        size,
        f"{cite('description', model.description)}; {', '.join(scores) or 'no score found'}",
    ]


def mark(source: str) -> str:
    """Return the number of a source, as the page shows it."""
    return f" [{SOURCES.index(source) + 1}]"


def sources() -> str:
    """Return the list of sources as a paragraph."""
    listed = " ".join(f"[{number}] {source}." for number, source in enumerate(SOURCES, start=1))
    return textwrap.fill(f"Sources: {listed}", width=120, break_on_hyphens=False) + "\n"


if __name__ == "__main__":
    PAGE.write_text(update(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
