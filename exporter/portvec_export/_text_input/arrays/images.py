"""Steps that map each character by itself: to one character, to several, or to none.

A table has the difference to the character that each becomes, so all characters that stay themselves share
one page. A number that is no difference stands for an image of another length.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import lru_cache
from itertools import chain
from typing import Final

import numpy as np

from portvec._itertools import batched
from portvec._vocabulary.components import Component
from portvec_export._onnx.builder import Graph, Type
from portvec_export._onnx.operators import Value
from portvec_export._text_input.arrays.flat import Characters, at_most, find_true, look_up, running_sum, take
from portvec_export._vocabulary.normalizer_steps import load_normalizer
from portvec_export._vocabulary.tables import pack_table

CODES: Final = 0x110000

# The first number of the table that stands for an image, and the one for characters that are exceptions.
_IMAGES: Final = 0x200000
_EXCEPTION: Final = 0x400000  # Characters that are asked about together.
_BLOCK: Final = 64
# In an image, the character that it is of: all that only get a space on either side share one image.
_ITSELF: Final = -1


class Images:
    """What each character becomes.

    Attributes:
        changed: the images of the code points that do not stay themselves.
    """

    def __init__(self, normalize: Callable[[str], str]) -> None:
        """Ask what each of all characters becomes. Surrogates, which are none, stay themselves."""
        images = {character: normalize(character) for character in _list_candidates(normalize)}
        self.changed = {ord(c): image for c, image in images.items() if c != image}
        self._entries = np.zeros(CODES, dtype=np.int32)
        texts: dict[tuple[int, ...], int] = {}
        for code, image in self.changed.items():
            if len(image) == 1:
                self._entries[code] = ord(image) - code
            else:
                text = tuple(_ITSELF if each == code else each for each in map(ord, image))
                self._entries[code] = _IMAGES + texts.setdefault(text, len(texts))
        self._texts = list(texts)

    @property
    def is_identity(self) -> bool:
        """Whether all characters stay themselves."""
        return not self.changed

    def add(
        self,
        graph: Graph,
        characters: Characters,
        name: str,
        exceptions: Collection[int] = (),
        add_slowly: Callable[[Graph, Characters], Characters] | None = None,
    ) -> Characters:
        """Return what characters become.

        Args:
            graph: the graph to add to.
            characters: of texts.
            name: arrays are stored under names that begin with it.
            exceptions: code points for which the images may be wrong, depending on what stands beside them.
            add_slowly: how to do it if any of those is there.
        """
        if self.is_identity:
            return characters
        numbers = self._entries.copy()
        numbers[list(exceptions)] = _EXCEPTION
        names = (f"{name}.pages", f"{name}.entries")
        packed = pack_table(*names, numbers)
        codes = characters.codes
        known = graph.maximum(codes, np.int32(0))
        entries = look_up(graph, known, packed[names[0]], packed[names[1]], names)
        entries = graph.where(graph.equal(known, codes), entries, np.int32(0))
        if not self._texts and not exceptions:
            return Characters(graph.add(codes, entries), characters.texts)
        most = graph.node("ReduceMax", entries, keepdims=0)

        def add_rarely(inner: Graph) -> list[Value]:
            if add_slowly is None or not exceptions:
                return self._expand(inner, characters, entries, name)

            def add_exceptions(rare: Graph) -> list[Value]:
                result = add_slowly(rare, characters)
                return [result.codes, result.texts]

            return inner.branch(
                inner.node("Less", most, np.int32(_EXCEPTION)),
                lambda usual: self._expand(usual, characters, entries, name),
                add_exceptions,
                _TYPES,
            )

        result = graph.branch(
            graph.node("Less", most, np.int32(_IMAGES)),
            lambda inner: [inner.add(codes, entries), inner.identity(characters.texts)],
            add_rarely,
            _TYPES,
        )
        return Characters(*result)

    def _expand(self, graph: Graph, characters: Characters, entries: Value, name: str) -> list[Value]:
        """Return the codes and texts, where some characters become several or none."""
        sizes = np.array([len(text) for text in self._texts], dtype=np.int64)
        starts = np.cumsum(sizes) - sizes
        joined = np.array([code for text in self._texts for code in text] or [0], dtype=np.int32)

        has_image = at_most(graph, np.int32(_IMAGES), entries)
        image = graph.where(has_image, graph.sub(entries, np.int32(_IMAGES)), np.int32(0))
        size = graph.where(has_image, take(graph, graph.constant(sizes), image), np.int64(1))
        owners, places = spread(graph, size)
        code, entry = take(graph, characters.codes, owners), take(graph, entries, owners)
        # The places of the images in the joined text, and 0 for characters that become one.
        start = graph.where(has_image, take(graph, graph.constant(starts), image), np.int64(0))
        place = graph.add(take(graph, start, owners), places)
        read = take(graph, graph.tensor(f"{name}.images", joined), place)
        read = graph.where(graph.equal(read, np.int32(_ITSELF)), code, read)
        single = graph.node("Less", entry, np.int32(_IMAGES))
        return [graph.where(single, graph.add(code, entry), read), take(graph, characters.texts, owners)]


def find_images(state: Component) -> Images:
    """Return what each character becomes under the normalizer with this state in tokenizer.json."""
    return _find_images(json.dumps(state))


@lru_cache(maxsize=8)  # asking takes a second, and a model may get two graphs
def _find_images(state: str) -> Images:
    return Images(load_normalizer(json.loads(state)))


_TYPES: Final[list[Type]] = [(np.int32, [None]), (np.int64, [None])]


def spread(graph: Graph, sizes: Value) -> tuple[Value, Value]:
    """Return which element each of several comes from, and its number among those, int64 (m,).

    `sizes`, int64 (n,), says how many come from each element. The last must not be 0.
    """
    starts = running_sum(graph, sizes, exclusive=True)
    has_any = find_true(graph, graph.node("Greater", sizes, np.int64(0)))
    firsts = take(graph, starts, has_any)
    total = graph.node("ReduceSum", sizes, keepdims=1)
    zeros = graph.node("Expand", np.array([0], np.int64), total)
    # At the first of each element stands how many elements further on that one is.
    steps = graph.sub(
        has_any, graph.concat(np.array([0], np.int64), graph.slice(has_any, 0, -1, axis=0), axis=0)
    )
    owners = running_sum(graph, graph.node("ScatterElements", zeros, firsts, steps, axis=0))
    numbers = graph.sub(running_sum(graph, graph.add(zeros, np.int64(1))), np.int64(1))
    return owners, graph.sub(numbers, take(graph, starts, owners))


def scalar_values() -> Iterable[int]:
    """Return all code points of characters, which are all but surrogates."""
    return chain(range(0xD800), range(0xE000, CODES))


def _list_candidates(normalize: Callable[[str], str]) -> Iterator[str]:
    """Yield all characters but those that stay themselves with a letter on either side.

    Most do, and many of them are asked about together, which takes a fifth of the time.
    """
    for block in batched(map(chr, scalar_values()), _BLOCK):
        text = "a".join(["", *block, ""])
        if normalize(text) != text:
            yield from block
