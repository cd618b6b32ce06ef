"""Noticing that a file has changed, without reading all of it."""

from __future__ import annotations

import hashlib
from pathlib import Path

WHOLE = 1 << 20  # bytes; a file of up to this size is read whole
HEADER = 1 << 16  # bytes at the start of a larger one, where safetensors has names and shapes
SAMPLES = 64  # parts of the rest, spread evenly; the last one ends the file
SAMPLE = 1 << 12  # bytes of each


def fingerprint(path: Path, *, whole: int = WHOLE) -> tuple[int, int, str]:
    """Return the size of a file, its time of change in nanoseconds, and a hash of its content.

    Of a file with more than `whole` bytes, the hash covers the header and the samples: at most 320 KiB.
    """
    digest = hashlib.sha256()
    stat = path.stat()
    with path.open("rb", buffering=0) as file:
        if stat.st_size <= whole:
            digest.update(file.read(stat.st_size))
        else:
            digest.update(file.read(HEADER))
            for number in range(SAMPLES):
                file.seek((stat.st_size - SAMPLE) * number // (SAMPLES - 1))
                digest.update(file.read(SAMPLE))
    return stat.st_size, stat.st_mtime_ns, digest.hexdigest()
