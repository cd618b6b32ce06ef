"""safetensors files with tensors of types that numpy lacks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt


def write_tensors(path: Path, tensors: dict[str, tuple[str, tuple[int, ...], bytes]]) -> None:
    """Write tensors: by name, the type as the file names it, the shape, and the bytes."""
    header, start = {}, 0
    for name, (kind, shape, content) in tensors.items():
        stop = start + len(content)
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [start, stop]}
        start = stop
    encoded = json.dumps(header).encode()
    contents = b"".join(content for _, _, content in tensors.values())
    path.write_bytes(len(encoded).to_bytes(8, "little") + encoded + contents)


def random_bfloat16(
    *shape: int, exponents: tuple[int, int] = (-4, 2), seed: int = 3
) -> tuple[npt.NDArray[np.float32], tuple[str, tuple[int, ...], bytes]]:
    """Return random values that bfloat16 holds, and the tensor of them for `write_tensors`.

    A bfloat16 has a sign, an exponent of 8 bits that is 127 too large, and 7 bits of a fraction.
    """
    rng = np.random.default_rng(seed)
    sign, fraction = rng.integers(0, 2, shape), rng.integers(0, 128, shape)
    exponent = rng.integers(*exponents, shape)
    values = np.where(sign, -1.0, 1.0) * (1 + fraction / 128) * 2.0**exponent
    bits = (sign * 2**15 + (exponent + 127) * 2**7 + fraction).astype("<u2")
    return values.astype(np.float32), ("BF16", shape, bits.tobytes())


def float32(array: npt.NDArray[np.float32]) -> tuple[str, tuple[int, ...], bytes]:
    """Return an array as a tensor for `write_tensors`."""
    return "F32", array.shape, array.astype("<f4").tobytes()
