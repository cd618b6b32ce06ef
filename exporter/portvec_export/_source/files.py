"""Reading the files of a Model2Vec model one by one, so that an error can name the file at fault.

model2vec's own loader is not used: its imports take longer than the rest of an export.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
from model2vec.model import DEFAULT_MAX_LENGTH
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer

from portvec._artifact.files import parse_json, read_file
from portvec._artifact.layouts import Layout
from portvec._failures import failures_become
from portvec.errors import SourceError
from portvec_export._source.checks import check_tokenizer

_AGAIN = "fetch the model again, as a download may have been cut short"


@dataclass(frozen=True)
class SourceFiles:
    """The contents of a model's files, unchanged.

    Attributes:
        config: config.json.
        tokenizer: the tokenizer that tokenizer.json describes.
        tokenizer_json: tokenizer.json, parsed.
        table: (rows, dim) of any type.
        weights: (V,) factor of each token id, or None.
        mapping: (V,) row of each token id, or None.
    """

    config: dict[str, Any]
    tokenizer: Tokenizer
    tokenizer_json: dict[str, Any]
    table: npt.NDArray[Any]
    weights: npt.NDArray[Any] | None
    mapping: npt.NDArray[Any] | None

    @property
    def normalize(self) -> bool:
        """Whether embeddings have unit length."""
        return bool(self.config.get("normalize", False))

    @property
    def max_length(self) -> int | None:
        """Number of tokens kept of a text; None keeps all."""
        length: int | None = self.config.get("max_length", DEFAULT_MAX_LENGTH)
        return length


def read_files(folder: Path, layout: Layout) -> SourceFiles:
    """Read a model, and refuse files that are damaged or belong to another kind of model.

    Raises:
        SourceError: names the file, what was expected of it and what was found.
    """
    config = _parse_object(_read_text(folder / layout.config), folder / layout.config)
    _check_config(config, folder / layout.config)
    tokenizer_text = _read_text(folder / layout.tokenizer)
    tokenizer_json = _parse_object(tokenizer_text, folder / layout.tokenizer)
    tokenizer = _build_tokenizer(tokenizer_text, folder / layout.tokenizer)
    check_tokenizer(tokenizer, folder / layout.tokenizer)
    tensors = _read_tensors(folder / layout.embeddings, layout.tensor)
    rows, tokens = len(tensors["table"]), len(tokenizer.get_vocab())
    if tensors["mapping"] is None and rows != tokens:
        raise SourceError(
            f"{Path(layout.tokenizer).name} has {tokens} tokens, but {folder / layout.embeddings} has {rows} "
            "rows; the two files belong to different models"
        )
    return SourceFiles(config, tokenizer, tokenizer_json, **tensors)


def _check_config(config: dict[str, Any], path: Path) -> None:
    normalize, length = config.get("normalize", False), config.get("max_length")
    if not isinstance(normalize, bool):
        raise SourceError(f"{path}: normalize is {normalize!r}, expected true or false; correct the file")
    whole = isinstance(length, int) and not isinstance(length, bool)
    if length is not None and not (whole and 1 <= length < 2**31):
        raise SourceError(
            f"{path}: max_length is {length!r}, expected a whole number from 1 to 2147483647, or null; "
            "correct the file"
        )


def _read_tensors(path: Path, expected: str) -> dict[str, Any]:
    memory, size = _total_memory(), path.stat().st_size
    if memory is not None and size > memory:
        raise SourceError(
            f"{path}: {size:,} bytes, but this machine has {memory:,} bytes of memory; export on a larger one"
        )
    try:
        path.open("rb").close()  # safetensors would say of a file that it may not read that there is none
    except OSError as error:
        raise SourceError(
            f"{path}: cannot be read ({error.strerror or error}); check the file and its permissions"
        ) from error
    try:
        with safe_open(path, framework="numpy") as file:
            names = set(file.keys())
            wanted = {"table": expected, "weights": "weights", "mapping": "mapping"}
            tensors = {key: file.get_tensor(name) if name in names else None for key, name in wanted.items()}
    except MemoryError as error:
        raise SourceError(
            f"{path}: {size:,} bytes, which do not fit in memory; export on a larger machine"
        ) from error
    except (SafetensorError, OSError) as error:
        raise SourceError(f"{path}: not a complete safetensors file ({error}); {_AGAIN}") from error
    except (TypeError, AttributeError, KeyError) as error:  # a type that numpy lacks, such as bfloat16
        raise SourceError(f"{path}: tensors of a type that numpy cannot read ({error})") from error
    table = tensors["table"]
    if table is not None:
        if table.ndim != 2 or 0 in table.shape:
            raise SourceError(
                f"{path}: the embeddings have shape {table.shape}, expected (rows, dimensions); is it a "
                "Model2Vec model?"
            )
        return tensors
    has = ", ".join(sorted(names)[:4]) + (", ..." if len(names) > 4 else "")
    if any(".layer." in name or ".layers." in name or ".h.0." in name for name in names):
        raise SourceError(
            f"{path}: a transformer ({len(names)} tensors: {has}), expected a static model's tensor "
            f"{expected!r}; distill it first with model2vec.distill"
        )
    raise SourceError(
        f"{path}: expected the tensor {expected!r}, has {has or 'none'}; is it a Model2Vec model?"
    )


def _total_memory() -> int | None:
    """Return this machine's memory in bytes; None if the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None


def _build_tokenizer(text: str, path: Path) -> Tokenizer:
    with failures_become(
        lambda why: SourceError(f"{path}: not a tokenizer that can be loaded ({why}); {_AGAIN}")
    ):
        return Tokenizer.from_str(text)


def _read_text(path: Path) -> str:
    try:
        return read_file(path).decode()
    except OSError as error:
        raise SourceError(
            f"{path}: cannot be read ({error.strerror or error}); check the file and its permissions"
        ) from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: not valid JSON ({error}); {_AGAIN}") from error


def _parse_object(text: str, path: Path) -> dict[str, Any]:
    try:
        value = parse_json(text)
    except ValueError as error:
        raise SourceError(f"{path}: not valid JSON ({error}); {_AGAIN}") from error
    if not isinstance(value, dict):
        raise SourceError(f"{path}: expected a JSON object, got {type(value).__name__}; {_AGAIN}")
    return value
