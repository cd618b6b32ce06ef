"""Reading the files of a Model2Vec model one by one, so that an error can name the file at fault.

model2vec's own loader is not used: its imports take longer than the rest of an export.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
from model2vec.model import DEFAULT_MAX_LENGTH
from tokenizers import Tokenizer

from portvec._artifact.files import parse_json, read_file
from portvec._artifact.layouts import Layout
from portvec._failures import failures_become
from portvec.errors import SourceError
from portvec_export._source.checks import check_tokenizer
from portvec_export._source.rows import RowReader
from portvec_export._source.tensors import AGAIN, open_tensors


class CopiedTokenizer:
    """A tokenizer that model2vec can copy once, as it does with those it is given.

    The copy takes its place: half a million tokens take 280 MB, and would be in memory twice.
    """

    def __init__(self, tokenizer: Tokenizer, vocabulary: dict[str, int]) -> None:
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary

    def get_vocab(self) -> dict[str, int]:
        """Return the id of each token, before the copy is made."""
        return self._vocabulary

    def __deepcopy__(self, memo: object) -> Tokenizer:
        content = pickle.dumps(self._tokenizer)
        del self._tokenizer, self._vocabulary
        copied: Tokenizer = pickle.loads(content)
        return copied


@dataclass(frozen=True)
class SourceFiles:
    """The contents of a model's files, unchanged.

    Attributes:
        config: config.json.
        tokenizer: the tokenizer that tokenizer.json describes.
        tokenizer_json: tokenizer.json.
        truncation: what it says about long texts, as `Tokenizer.truncation` does; None if nothing.
        table: (rows, dim) of any type, which stay in the file.
        weights: (V,) factor of each token id, or None.
        mapping: (V,) row of each token id, or None.
    """

    config: dict[str, Any]
    tokenizer: CopiedTokenizer
    tokenizer_json: bytes
    truncation: dict[str, Any] | None
    table: RowReader
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
    config = parse_object(read_whole(folder / layout.config), folder / layout.config)
    _check_config(config, folder / layout.config)
    tokenizer_json = read_whole(folder / layout.tokenizer)
    tokenizer = _build_tokenizer(tokenizer_json, folder / layout.tokenizer)
    vocabulary = check_tokenizer(tokenizer, folder / layout.tokenizer)
    tensors = _read_tensors(folder / layout.embeddings, layout.tensor)
    rows, tokens = len(tensors["table"]), len(vocabulary)
    if tensors["mapping"] is None and rows != tokens:
        raise SourceError(
            f"{Path(layout.tokenizer).name} has {tokens} tokens, but {folder / layout.embeddings} has {rows} "
            "rows; the two files belong to different models"
        )
    copied = CopiedTokenizer(tokenizer, vocabulary)
    return SourceFiles(config, copied, tokenizer_json, tokenizer.truncation, **tensors)


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
    tensors = open_tensors(path)
    if expected not in tensors.names:
        raise SourceError(_describe_foreign(path, expected, sorted(tensors.names)))
    shape = tensors.shape(expected)
    if len(shape) != 2 or 0 in shape:
        raise SourceError(
            f"{path}: the embeddings have shape {shape}, expected (rows, dimensions); is it a "
            "Model2Vec model?"
        )
    factors = {name: tensors.read(name) if name in tensors.names else None for name in ("weights", "mapping")}
    return {"table": tensors.rows(expected), **factors}


def _describe_foreign(path: Path, expected: str, names: list[str]) -> str:
    """Return what is wrong with a file that has the tensors of another kind of model."""
    has = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    if any(".layer." in name or ".layers." in name or ".h.0." in name for name in names):
        return (
            f"{path}: a transformer ({len(names)} tensors: {has}), expected a static model's tensor "
            f"{expected!r}; distill it first with model2vec.distill"
        )
    return f"{path}: expected the tensor {expected!r}, has {has or 'none'}; is it a Model2Vec model?"


def _build_tokenizer(content: bytes, path: Path) -> Tokenizer:
    def describe(why: str) -> SourceError:
        parse_object(content, path)  # says what is wrong if that is no JSON
        return SourceError(f"{path}: not a tokenizer that can be loaded ({why}); {AGAIN}")

    with failures_become(describe):
        return Tokenizer.from_buffer(content)


def read_whole(path: Path) -> bytes:
    """Return the bytes of a model's file.

    Raises:
        SourceError: it cannot be read.
    """
    try:
        return read_file(path)
    except OSError as error:
        raise SourceError(
            f"{path}: cannot be read ({error.strerror or error}); check the file and its permissions"
        ) from error


def parse_object(content: bytes, path: Path) -> dict[str, Any]:
    """Return the JSON object in a model's file.

    Raises:
        SourceError: it is something else.
    """
    try:
        value = parse_json(content)
    except ValueError as error:
        raise SourceError(f"{path}: not valid JSON ({error}); {AGAIN}") from error
    if not isinstance(value, dict):
        raise SourceError(f"{path}: expected a JSON object, got {type(value).__name__}; {AGAIN}")
    return value
