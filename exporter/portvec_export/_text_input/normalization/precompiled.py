"""The charsmaps of SentencePiece, as Hugging Face's normalizer Precompiled applies them.

A grapheme of less than 6 bytes becomes the image of the shortest key that it begins with, whatever follows
that. In all others, and where there is no such key, each character becomes the image of its own shortest key.
"""

from __future__ import annotations

from base64 import b64decode
from functools import lru_cache
from typing import Final

import numpy as np
from tokenizers import normalizers

from portvec._vocabulary.components import Component
from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._text_input.arrays.code_tables import CodeTable
from portvec_export._text_input.arrays.expansion import spread
from portvec_export._text_input.arrays.flat import Characters, after, at_most, before, take
from portvec_export._text_input.arrays.images import CODES
from portvec_export._text_input.arrays.trie import PieceTrie
from portvec_export._text_input.errors import NotExpressible
from portvec_export._text_input.normalization.charsmaps import read_shortest_keys
from portvec_export._text_input.normalization.graphemes import JOINING, find_joined, grapheme_table
from portvec_export._vocabulary.trie import build_trie

# Longer graphemes are looked up character by character. Those of up to 5 bytes have at most 3 characters.
_LONGEST: Final = 5


def add_precompiled(graph: Graph, characters: Characters, state: Component, name: str) -> Characters:
    """Return what the charsmap in the `state` of a normalizer makes of characters.

    Raises:
        NotExpressible: the charsmap has keys or images that are not texts.
    """
    return _Charsmap(state["precompiled_charsmap"], name).add(graph, characters)


class _Charsmap:
    """A charsmap in a graph.

    Images have numbers: 0 stands for the character itself, those after it for images of one character, and
    those from `_plural` on for images of more or none.
    """

    def __init__(self, charsmap: str, name: str) -> None:
        keys = _read(charsmap)
        images = sorted({"", *keys.values()}, key=lambda image: (len(image) != 1, image))
        numbers = {image: number for number, image in enumerate(images, 1)}
        self._plural = 1 + sum(len(image) == 1 for image in images)
        self._gone = numbers[""]
        self._sizes = np.array([1, *map(len, images)], dtype=np.int64)
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._texts = np.array([0, *map(ord, "".join(images)), 0], dtype=np.int32)

        table = np.zeros(CODES, dtype=np.int32)
        for key, image in keys.items():
            if len(key) == 1:
                table[ord(key)] = numbers[image]
        self._table = CodeTable(name, table)
        plural = {key: numbers[image] for key, image in keys.items() if len(key) > 1}
        self._trie = None
        if plural:
            arrays = build_trie(list(plural), np.array(list(plural.values())))
            self._trie = PieceTrie(arrays, f"{name}.keys")

    def add(self, graph: Graph, characters: Characters) -> Characters:
        """Return what characters become."""
        numbers = self._table.look_up(graph, characters.codes)
        facts = grapheme_table().look_up(graph, characters.codes)
        highest = graph.node("ReduceMax", facts, keepdims=0)
        (numbers,) = graph.branch(
            at_most(graph, np.int32(JOINING), highest),
            lambda inner: [self._look_up_graphemes(inner, characters, numbers, facts)],
            lambda inner: [inner.identity(numbers)],
            [(np.int32, [None])],
        )
        highest = graph.node("ReduceMax", numbers, keepdims=0)
        result = graph.branch(
            graph.node("Less", highest, np.int32(self._plural)),
            lambda inner: [self._replace(inner, characters.codes, numbers), inner.identity(characters.texts)],
            lambda inner: self._expand(inner, characters, numbers),
            [(np.int32, [None]), (np.int64, [None])],
        )
        return Characters(*result)

    def _look_up_graphemes(self, graph: Graph, characters: Characters, numbers: Value, facts: Value) -> Value:
        """Return the numbers where some characters are graphemes together."""
        codes = characters.codes
        joined = find_joined(graph, facts, characters.texts)
        # Whether the next three characters belong to the grapheme too
        first, second, third = _following(graph, joined, 3, np.False_)
        two = _both(graph, _both(graph, _not(graph, joined), first), _not(graph, second))
        three = _both(
            graph, _both(graph, _not(graph, joined), first), _both(graph, second, _not(graph, third))
        )
        size = _count_bytes(graph, codes)
        next_size, last_size = _following(graph, size, 2, np.int32(0))
        size = graph.add(size, next_size)
        two = _both(graph, two, at_most(graph, size, np.int32(_LONGEST)))
        three = _both(graph, three, at_most(graph, graph.add(size, last_size), np.int32(_LONGEST)))
        several = graph.node("Or", two, three)

        # A key of one character is the shortest. Then one of two.
        has_key = graph.node("Greater", numbers, np.int32(0))
        if self._trie is not None:
            trie = self._trie
            symbols = trie.symbols(graph, codes)
            next_symbols, last_symbols = _following(graph, symbols, 2, np.int32(0))
            states, found = trie.step_from(graph, 0, symbols)
            for needed, following in ((several, next_symbols), (three, last_symbols)):
                found = _both(graph, _both(graph, found, needed), _not(graph, has_key))
                states, goes_on = trie.step(graph, graph.where(found, states, np.int32(0)), following)
                found = _both(graph, found, goes_on)
                number = trie.token(graph, graph.where(found, states, np.int32(0)))
                found_key = _both(graph, found, graph.node("Greater", number, np.int32(0)))
                numbers = graph.where(found_key, number, numbers)
                has_key = graph.node("Or", has_key, found_key)
        drops_next = before(graph, _both(graph, several, has_key), np.False_)
        drops_last = before(graph, before(graph, _both(graph, three, has_key), np.False_), np.False_)
        return graph.where(graph.node("Or", drops_next, drops_last), np.int32(self._gone), numbers)

    def _replace(self, graph: Graph, codes: Value, numbers: Value) -> Value:
        """Return codes where every image is one character."""
        firsts = graph.constant(self._texts[self._starts].astype(np.int32))
        is_itself = graph.equal(numbers, np.int32(0))
        return graph.where(is_itself, codes, take(graph, firsts, numbers))

    def _expand(self, graph: Graph, characters: Characters, numbers: Value) -> list[Value]:
        """Return the codes and texts of images."""
        sizes, starts, texts = (graph.constant(each) for each in (self._sizes, self._starts, self._texts))
        owners, places = spread(graph, take(graph, sizes, numbers))
        of_owners = take(graph, numbers, owners)
        codes = take(graph, texts, graph.add(take(graph, starts, of_owners), places))
        is_itself = graph.equal(of_owners, np.int32(0))
        codes = graph.where(is_itself, take(graph, characters.codes, owners), codes)
        return [codes, take(graph, characters.texts, owners)]


@lru_cache(maxsize=8)
def _read(charsmap: str) -> dict[str, str]:
    """Return the shortest keys of a charsmap and their images, in agreement with `tokenizers`."""
    content = b64decode(charsmap)
    keys = read_shortest_keys(content, _LONGEST)
    normalize = normalizers.Precompiled(content).normalize_str
    if any(len(key) == 1 and normalize(key) != image for key, image in keys.items()):
        raise NotExpressible("its charsmap is read in another way")
    return keys


def _following(graph: Graph, values: Value, number: int, last: np.generic) -> list[Value]:
    """Return, for each of values (n,), those 1, 2 ... and `number` places after it."""
    found: list[Value] = []
    for _ in range(number):
        values = after(graph, values, last)
        found.append(values)
    return found


def _count_bytes(graph: Graph, codes: Value) -> Value:
    """Return the number of bytes of each character in UTF-8, int32 (n,)."""
    size = graph.add(graph.cast(at_most(graph, np.int32(0), codes), np.int32), np.int32(0))
    for first in (0x80, 0x800, 0x10000):
        size = graph.add(size, graph.cast(at_most(graph, np.int32(first), codes), np.int32))
    return size


def _both(graph: Graph, a: Value, b: Value) -> Value:
    return graph.node("And", a, b)


def _not(graph: Graph, condition: Value) -> Value:
    return graph.node("Not", condition)
