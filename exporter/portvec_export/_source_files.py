"""The files of a Model2Vec model, checked one by one, so that an error can name the one at fault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer

from portvec._layout import Layout
from portvec.errors import SourceError

_AGAIN = "fetch the model again, as a download may have been cut short"


def check_files(folder: Path, layout: Layout) -> dict[str, Any]:
    """Return the configuration; refuse files that are damaged or belong to another kind of model.

    Raises:
        SourceError: names the file, what was expected of it and what was found.
    """
    config = _read_json(folder / layout.config)
    _check_config(config, folder / layout.config)
    tensors, tokenizer = folder / layout.embeddings, folder / layout.tokenizer
    rows = _count_rows(tensors, layout)
    tokens = _count_tokens(tokenizer)
    if rows is not None and rows != tokens:
        raise SourceError(
            f"{tokenizer.name} has {tokens} tokens, but {tensors} has {rows} rows; the two files belong to "
            "different models"
        )
    return config


def _check_config(config: dict[str, Any], path: Path) -> None:
    kinds: dict[str, tuple[type, ...]] = {"normalize": (bool,), "max_length": (int, type(None))}
    for name, allowed in kinds.items():
        value = config.get(name, False if name == "normalize" else None)
        if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
            names = " or ".join("null" if kind is type(None) else kind.__name__ for kind in allowed)
            raise SourceError(f"{path}: {name} is {value!r}, expected {names}; correct the file")
    if (config.get("max_length") or 0) < 0:
        raise SourceError(
            f"{path}: max_length is {config['max_length']}, expected 0 or more, or null; correct the file"
        )


def _count_rows(path: Path, layout: Layout) -> int | None:
    """Return the rows of the table; None where a mapping leads to them."""
    expected = layout.tensor
    try:
        with safe_open(path, framework="numpy") as file:
            names = set(file.keys())
            shape = file.get_slice(expected).get_shape() if expected in names else []
    except (SafetensorError, OSError) as error:
        raise SourceError(f"{path}: not a whole safetensors file ({error}); {_AGAIN}") from error
    if expected in names:
        if len(shape) != 2 or 0 in shape:
            raise SourceError(
                f"{path}: the embeddings have shape {tuple(shape)}, expected (rows, dimensions); is it a "
                "Model2Vec model?"
            )
        return None if "mapping" in names else int(shape[0])
    has = ", ".join(sorted(names)[:4]) + (", ..." if len(names) > 4 else "")
    if any(".layer." in name or ".layers." in name or ".h.0." in name for name in names):
        raise SourceError(
            f"{path}: a transformer ({len(names)} tensors: {has}), expected a static model's tensor "
            f"{expected!r}; distill it first with model2vec.distill"
        )
    raise SourceError(
        f"{path}: expected the tensor {expected!r}, has {has or 'none'}; is it a Model2Vec model?"
    )


def _count_tokens(path: Path) -> int:
    _read_json(path)
    try:
        return len(Tokenizer.from_file(str(path)).get_vocab())
    except Exception as error:  # the library raises bare Exception
        raise SourceError(f"{path}: not a tokenizer that can be loaded ({error}); {_AGAIN}") from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: not valid JSON ({error}); {_AGAIN}") from error
    if not isinstance(value, dict):
        raise SourceError(f"{path}: expected a JSON object, got {type(value).__name__}; {_AGAIN}")
    return value
