"""What the programs host.py, host.mjs and host.cpp read and write.

All numbers are little-endian int32. A job holds the number of batches; for each, the number of texts; for
each, the number of its bytes in UTF-8, and these. A result holds, for each batch, the shape of its ids, the
dimensions of its vectors, the ids as int32, and the vectors as float32.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Result(NamedTuple):
    """What a host computed.

    Attributes:
        ids: the token ids of each text, without padding.
        vectors: float32 (texts, dim).
    """

    ids: list[list[int]]
    vectors: npt.NDArray[np.float32]


def write_job(path: Path, batches: Sequence[Sequence[str]]) -> None:
    """Write batches of texts."""
    with path.open("wb") as file:
        file.write(struct.pack("<i", len(batches)))
        for batch in batches:
            file.write(struct.pack("<i", len(batch)))
            for text in batch:
                content = text.encode("utf-8")
                file.write(struct.pack("<i", len(content)) + content)


def read_result(path: Path) -> Result:
    """Read what a program wrote.

    Raises:
        ValueError: the file ends too early, or ids follow padding.
    """
    content = path.read_bytes()
    ids: list[list[int]] = []
    vectors = []
    place = 0
    while place < len(content):
        texts, length, dim = struct.unpack_from("<iii", content, place)
        place += 12
        matrix = np.frombuffer(content, "<i4", texts * length, place).reshape(texts, length)
        place += matrix.nbytes
        vectors.append(np.frombuffer(content, "<f4", texts * dim, place).reshape(texts, dim))
        place += vectors[-1].nbytes
        counts = (matrix >= 0).sum(axis=1)
        if not np.array_equal(matrix >= 0, np.arange(length) < counts[:, None]):
            raise ValueError(f"{path}: ids follow padding; ids must come first in each row")
        ids += [row[:count].tolist() for row, count in zip(matrix, counts, strict=True)]
    return Result(ids, np.concatenate(vectors))
