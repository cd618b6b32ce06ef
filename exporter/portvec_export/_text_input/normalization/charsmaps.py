"""Reading the charsmaps that SentencePiece compiles: a trie of keys, as darts-clone writes it, and images.

A unit of the trie has the byte that leads to it in its lowest 8 bits, 256 if a value follows, and a number
that, xor its place, is the base of those that follow it. Bit 31 is set in values.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from portvec_export._text_input.errors import NotExpressible


def read_shortest_keys(charsmap: bytes, longest: int) -> dict[str, str]:
    """Return the image of each key of up to `longest` bytes that begins with no other key.

    Raises:
        NotExpressible: a key is not a text, or an image is outside the charsmap.
    """
    size = int.from_bytes(charsmap[:4], "little")
    units = np.frombuffer(charsmap[4 : 4 + size // 4 * 4], dtype="<u4").astype(np.int64)
    texts = charsmap[4 + size :]
    found: dict[str, str] = {}
    keys = np.zeros((1, 0), dtype=np.uint8)
    bases = _bases_of(units, np.zeros(1, dtype=np.int64))
    for _ in range(longest):
        places = bases[:, None] ^ np.arange(1, 256)
        inside = places < len(units)
        labels = units[np.where(inside, places, 0)] & (1 << 31 | 255)
        rows, steps = np.nonzero(inside & (labels == np.arange(1, 256)))
        places = places[rows, steps]
        keys = np.concatenate([keys[rows], (steps + 1).astype(np.uint8)[:, None]], axis=1)
        bases = _bases_of(units, places)
        has_value = units[places] >> 8 & 1 == 1
        for key, base in zip(keys[has_value], bases[has_value].tolist(), strict=True):
            start = int(units[base]) & (2**31 - 1) if base < len(units) else len(texts)
            if start >= len(texts):
                raise NotExpressible("its charsmap has an image that is outside it")
            end = texts.find(b"\0", start)
            try:
                found[key.tobytes().decode()] = texts[start : end if end >= 0 else None].decode()
            except UnicodeDecodeError:
                raise NotExpressible("its charsmap has a key or an image that is not UTF-8") from None
        keys, bases = keys[~has_value], bases[~has_value]
    return found


def _bases_of(units: npt.NDArray[np.int64], places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    values = units[places]
    return places ^ (values >> 10 << ((values & 512) >> 6))
