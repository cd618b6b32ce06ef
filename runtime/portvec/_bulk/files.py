"""Texts in and embeddings out, as files: .txt, .jsonl, .csv; .npy and .jsonl."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

import numpy as np

from portvec._artifact.staging import staged_file
from portvec.errors import InputError

if TYPE_CHECKING:
    import numpy.typing as npt

_DEFAULT_FIELD = "text"


def read_texts(path: Path, field: str | None = None) -> Iterator[str]:
    """Yield the texts of a file one by one.

    .jsonl: the field `field` ("text" by default) of each line's object, or the line's string. .csv:
    the column of that name. Any other file: its lines, empty ones left out.

    Raises:
        InputError: the file cannot be read, is not UTF-8, or a line lacks the field.
    """
    reader = {".jsonl": _jsonl, ".csv": _csv}.get(path.suffix.lower())
    if reader is None and field is not None:
        raise InputError(f"{path}: --field is for .jsonl and .csv files; leave it out")
    try:
        with path.open(encoding="utf-8-sig", newline="" if reader is _csv else None) as file:
            yield from reader(file, path, field or _DEFAULT_FIELD) if reader else lines(file)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}; convert it to UTF-8") from error


def lines(file: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a text file that are not empty, without their line ends."""
    return (text for line in file if (text := line.rstrip("\r\n")).strip())


def _jsonl(file: IO[str], path: Path, field: str) -> Iterator[str]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise InputError(f"{path}, line {number}: not valid JSON ({error})") from error
        text = value.get(field) if isinstance(value, dict) else value
        if not isinstance(text, str):
            raise InputError(
                f"{path}, line {number}: expected a string or an object with a string {field!r}, "
                f"got {line.strip()[:60]}; name the field with --field"
            )
        yield text


def _csv(file: IO[str], path: Path, field: str) -> Iterator[str]:
    rows = csv.DictReader(file)
    columns = rows.fieldnames or []
    if field not in columns:
        raise InputError(
            f"{path}: no column {field!r}, has {', '.join(columns) or 'none'}; name the column with --field"
        )
    for row in rows:
        if row[field] is None:
            raise InputError(f"{path}, line {rows.line_num}: the row has no column {field!r}")
        yield row[field]


class EmbeddingWriter(Protocol):
    """Takes the embeddings of a few texts at a time."""

    def __call__(self, texts: list[str], embeddings: npt.NDArray[np.float32]) -> None:
        """Write float32 (len(texts), dim)."""


@contextmanager
def embedding_file(path: Path, dim: int) -> Iterator[EmbeddingWriter]:
    """Open a .npy or .jsonl file to write embeddings to; it appears when all are written.

    Raises:
        InputError: another suffix, or the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in (".npy", ".jsonl"):
        raise InputError(f"{path}: unknown suffix for embeddings, expected .npy or .jsonl")
    try:
        with staged_file(path) as staging:
            if suffix == ".npy":
                with staging.open("w+b") as binary, _npy(binary, dim) as write:
                    yield write
            else:
                with staging.open("w", encoding="utf-8") as text:
                    yield jsonl_writer(text)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error


@contextmanager
def _npy(file: IO[bytes], dim: int) -> Iterator[EmbeddingWriter]:
    """Write a .npy array whose number of rows is known at the end only."""
    count = 0

    def header() -> None:
        # numpy pads the header so that the first axis can grow to any length in place.
        file.seek(0)
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f4", "fortran_order": False, "shape": (count, dim)}
        )

    def write(texts: list[str], embeddings: npt.NDArray[np.float32]) -> None:
        nonlocal count
        count += len(texts)
        file.write(np.ascontiguousarray(embeddings, dtype="<f4").data)

    header()
    yield write
    header()


def jsonl_writer(file: IO[str]) -> EmbeddingWriter:
    """Return a writer of one JSON object a line: the text and its embedding."""

    def write(texts: list[str], embeddings: npt.NDArray[np.float32]) -> None:
        for text, row in zip(texts, embeddings, strict=True):
            # str() of a float32 is the shortest number that reads back the same.
            numbers = ", ".join(map(str, row))
            file.write(f'{{"text": {json.dumps(text, ensure_ascii=False)}, "embedding": [{numbers}]}}\n')

    return write
