"""Code points: from strings, and from a matrix to one array.

ONNX has no operator that reads the characters of a string. But onnxruntime can split a string into characters
and hash each, and MurmurHash3 of at most four bytes loses nothing: for a known number of bytes each of its
steps can be undone. So a hash has one candidate for each number of bytes, and with this seed exactly one of
them is valid UTF-8, for every character that there is.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Operand, Type, Value
from portvec_export._text_input.arrays.flat import END, Characters, at_most, count, find_true, is_any, take

# No code point has a second candidate under this seed, or the hash of the padding, which is no character.
_SEED: Final = 2408044
_PADDING: Final = ""
# The factors of the hash: those that stir what was read, and those that are applied to each block.
_STIRS: Final = (0x85EBCA6B, 0xC2B2AE35)
_BLOCKS: Final = (0xCC9E2D51, 0x1B873593)

_DOMAIN: Final = "com.microsoft"

# UTF-8 by number of bytes, where the last byte is the lowest: the bits that are fixed, what they are, and the
# first and the last code point.
_PATTERNS: Final = [
    (0x80, 0x00, 0x00, 0x7F),
    (0xE0C0, 0xC080, 0x80, 0x7FF),
    (0xF0C0C0, 0xE08080, 0x800, 0xFFFF),
    (0xF8C0C0C0, 0xF0808080, 0x10000, 0x10FFFF),
]


def add_code_points(graph: Graph, text: Value) -> Value:
    """Return the code points of strings [n], int32 [n, length], padded with -1."""
    characters = graph.node(
        "Tokenizer",
        text,
        domain=_DOMAIN,
        mark=0,
        mincharnum=1,
        pad_value=_PADDING,
        separators=[""],
    )
    hashes = graph.node("MurmurHash3", characters, domain=_DOMAIN, positive=0, seed=_SEED)
    # Texts of other lengths bring much padding, and undoing a hash takes far longer than leaving it out.
    shape = graph.node("Shape", hashes)
    flat = graph.reshape(hashes, -1)
    places = find_true(graph, graph.node("Not", graph.equal(flat, _hash_nothing())))
    matrix = graph.node("Expand", np.array([-1], np.int32), count(graph, flat))
    codes = _invert(graph, take(graph, flat, places))
    matrix = graph.node("ScatterElements", matrix, places, codes, axis=0)
    return graph.node("Reshape", matrix, shape, allowzero=1)


def flatten(graph: Graph, matrix: Value, max_characters: int | None) -> Characters:
    """Return the characters of texts whose code points are the rows of a matrix.

    Args:
        graph: the graph to add to.
        matrix: int32 [texts, length], Unicode scalar values. Negative numbers are padding.
        max_characters: how many characters of a text are read; None for all.
    """
    if max_characters is not None:
        matrix = graph.slice(matrix, 0, max_characters, axis=1)
    shape = graph.node("Shape", matrix)
    rows_count = graph.slice(shape, 0, 1, axis=0)
    numbers = graph.node("Range", np.int64(0), graph.squeeze(rows_count, 0), np.int64(1))
    rows = graph.reshape(graph.node("Expand", graph.unsqueeze(numbers, 1), shape), -1)
    flat = graph.reshape(matrix, -1)
    places = find_true(graph, at_most(graph, np.int32(0), flat))
    codes, texts = take(graph, flat, places), take(graph, rows, places)
    return Characters(
        codes=graph.concat(codes, np.array([END], np.int32), axis=0),
        texts=graph.concat(texts, rows_count, axis=0),
    )


def _hash_nothing() -> np.int32:
    """Return the hash of no bytes."""
    mixed = _SEED ^ _SEED >> 16
    for factor, bits in zip(_STIRS, (13, 16), strict=True):
        mixed = mixed * factor & 0xFFFFFFFF
        mixed ^= mixed >> bits
    return _int32(mixed)


def _invert(graph: Graph, hashes: Value) -> Value:
    """Return the code points of characters by their hashes, int32; -1 for those of no character."""
    mixed = _xor(graph, hashes, _shift_right(graph, hashes, 16))
    mixed = graph.mul(mixed, _inverse(_STIRS[1]))
    # The inverse of a shift by 13 is that of one by 26 after it.
    mixed = _xor(graph, mixed, _shift_right(graph, mixed, 13))
    mixed = _xor(graph, mixed, _shift_right(graph, mixed, 26))
    mixed = graph.mul(mixed, _inverse(_STIRS[0]))
    mixed = _xor(graph, mixed, _shift_right(graph, mixed, 16))
    codes, is_valid = _try_size(graph, mixed, 1)
    codes = graph.where(is_valid, codes, np.int32(-1))
    others = find_true(graph, graph.node("Not", is_valid))

    def invert_others(inner: Graph) -> list[Value]:
        """Most characters have one byte, and texts may have no others."""
        rest = take(inner, mixed, others)
        found = inner.mul(rest, np.int32(0))
        found = inner.sub(found, np.int32(1))
        for size in range(2, len(_PATTERNS) + 1):
            candidate, is_valid = _try_size(inner, rest, size)
            found = inner.where(is_valid, candidate, found)
        return [inner.node("ScatterElements", codes, others, found, axis=0)]

    types: list[Type] = [(np.int32, [None])]
    return graph.branch(is_any(graph, others), invert_others, lambda inner: [codes], types)[0]


def _try_size(graph: Graph, mixed: Value, size: int) -> tuple[Value, Value]:
    """Return the code points of characters if they have `size` bytes, and whether they are valid.

    `mixed`, int32 (n,), is what the last stirring makes hashes of.
    """
    if size < 4:
        block = _xor(graph, mixed, np.int32(size ^ _SEED))
    else:
        # Four bytes are a block, after which the state is stirred once more.
        state = graph.sub(_xor(graph, mixed, np.int32(size)), _int32(0xE6546B64))
        state = _rotate(graph, graph.mul(state, _inverse(5)), 32 - 13)
        block = _xor(graph, state, np.int32(_SEED))
    block = _rotate(graph, graph.mul(block, _inverse(_BLOCKS[1])), 32 - 15)
    block = graph.mul(block, _inverse(_BLOCKS[0]))
    return _read_utf8(graph, block, size, *_PATTERNS[size - 1])


def _read_utf8(
    graph: Graph, block: Value, size: int, fixed: int, expected: int, first: int, last: int
) -> tuple[Value, Value]:
    """Return the code point of UTF-8 of some size, the first byte lowest, and whether it is valid."""
    unused = 0xFFFFFFFF << 8 * size & 0xFFFFFFFF
    fixed, expected = (_reverse(each, size) for each in (fixed, expected))
    has_form = graph.equal(_and(graph, block, fixed | unused), _int32(expected))
    code: Value | None = None
    for byte in range(size):
        bits = 0xFF ^ (fixed >> 8 * byte & 0xFF)
        from_low, to_low = 8 * byte, 6 * (size - 1 - byte)
        part = _and(graph, block, bits << from_low)
        if from_low > to_low:
            part = _shift_right(graph, part, from_low - to_low)
        elif from_low < to_low:
            part = graph.mul(part, np.int32(1 << to_low - from_low))
        code = part if code is None else graph.add(code, part)
    assert code is not None
    if size == 1:
        return code, has_form
    is_valid = graph.node("And", has_form, at_most(graph, code, np.int32(last)))
    return code, graph.node("And", is_valid, at_most(graph, np.int32(first), code))


def _reverse(number: int, size: int) -> int:
    return int.from_bytes(number.to_bytes(size, "big"), "little")


def _int32(number: int) -> np.int32:
    """Return the int32 with the bits of a number below 2**32."""
    signed: np.int32 = np.uint32(number).view(np.int32)
    return signed


def _inverse(factor: int) -> np.int32:
    """Return the number by which to multiply to undo a multiplication, modulo 2**32."""
    return _int32(pow(factor, -1, 2**32))


def _xor(graph: Graph, a: Value, b: Operand) -> Value:
    return graph.node("BitwiseXor", a, b)


def _and(graph: Graph, a: Value, mask: int) -> Value:
    return graph.node("BitwiseAnd", a, _int32(mask))


def _shift_right(graph: Graph, value: Value, bits: int) -> Value:
    """Shift the bits of int32 numbers and fill up with zeros."""
    shifted = graph.node("BitShift", graph.cast(value, np.uint32), np.uint32(bits), direction="RIGHT")
    return graph.cast(shifted, np.int32)


def _rotate(graph: Graph, value: Value, bits: int) -> Value:
    """Rotate the bits of int32 numbers to the left."""
    high = graph.mul(value, _int32(1 << bits))
    return graph.node("BitwiseOr", high, _shift_right(graph, value, 32 - bits))
