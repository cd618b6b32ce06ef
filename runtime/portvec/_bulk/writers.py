"""Writing files of embeddings: .npy and .jsonl."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import UnsupportedOperation
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

import numpy as np

from portvec._artifact.staging import staged_file
from portvec._terminal import escape_json
from portvec.errors import FileError

if TYPE_CHECKING:
    import numpy.typing as npt


class EmbeddingWriter(Protocol):
    """Writes the embeddings of a few texts at a time."""

    def __call__(self, texts: list[str], embeddings: npt.NDArray[np.float32]) -> None:
        """Write float32 (len(texts), dim)."""


@contextmanager
def embedding_file(path: Path, dim: int) -> Iterator[EmbeddingWriter]:
    """Open a .npy or .jsonl file for embeddings. The file appears when all of them are written.

    A pipe or device is written at once, and cannot be .npy.

    Raises:
        FileError: another suffix, or the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in (".npy", ".jsonl"):
        raise FileError(f"{path}: unknown suffix for embeddings, expected .npy or .jsonl")
    try:
        with staged_file(path) as staging:
            if suffix == ".npy":
                with staging.open("w+b") as binary, _npy(binary, dim) as write:
                    yield write
            else:
                with staging.open("w", encoding="utf-8") as text:
                    yield jsonl_writer(text.write)
    except UnsupportedOperation as error:
        raise FileError(
            f"{path}: a pipe or device, which .npy does not suit, because its header is written last; "
            "choose .jsonl"
        ) from error
    except OSError as error:
        raise FileError(f"{path}: cannot be written ({error.strerror or error})") from error


@contextmanager
def _npy(file: IO[bytes], dim: int) -> Iterator[EmbeddingWriter]:
    """Write a .npy array whose number of rows is known only at the end."""
    count = 0

    def header() -> None:
        # numpy pads the header, so that a longer first axis fits in place.
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


def jsonl_writer(write: Callable[[str], object]) -> EmbeddingWriter:
    """Return a writer that writes a JSON object a line, with the text and its embedding."""

    def write_rows(texts: list[str], embeddings: npt.NDArray[np.float32]) -> None:
        for text, row in zip(texts, embeddings, strict=True):
            # A reader gets the same text, and a terminal that shows the line does nothing else.
            quoted = escape_json(json.dumps(text, ensure_ascii=False))
            # str() of a float32 is the shortest number that reads back as the same float32.
            numbers = ", ".join(map(str, row))
            write(f'{{"text": {quoted}, "embedding": [{numbers}]}}\n')

    return write_rows
