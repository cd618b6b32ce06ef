"""Steps that map each character by itself: to one character, to several, or to none.

A table has the difference to the character that each becomes, so all characters that stay themselves share
one page. A number that is no difference stands for an image of another length.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Final

import numpy as np
import numpy.typing as npt

from portvec._itertools import batched
from portvec._vocabulary.components import Component
from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Type, Value
from portvec_export._text_input.arrays.code_tables import pack
from portvec_export._text_input.arrays.expansion import spread
from portvec_export._text_input.arrays.flat import Characters, at_most, look_up, take
from portvec_export._vocabulary.normalizer_steps import load_normalizer

CODES: Final = 0x110000

# The first number of the table that stands for an image.
_IMAGES: Final = 0x200000
# All numbers are below the first of these. The second is added to those of hard characters, and then none is.
_EASY: Final = 0x400000
_HARD: Final = 0x800000
# Characters that are asked about together.
_BLOCK: Final = 64
# In an image, the character that it is of: all that only get a space on either side share one image.
_ITSELF: Final = -1


@dataclass(frozen=True)
class Slowly:
    """Another way to do what images do, for when certain characters are there.

    Attributes:
        codes: int64 (n,), those characters. Their images may be wrong, depending on what stands beside them.
        add: adds it for characters. The last argument adds the images of all of them.
    """

    codes: npt.NDArray[np.int64]
    add: Callable[[Graph, Characters, Callable[[], Characters]], Characters]


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
        self._joined = np.array([code for text in texts for code in text] or [0], dtype=np.int32)

    @property
    def is_identity(self) -> bool:
        """Whether all characters stay themselves."""
        return not self.changed

    def add(
        self,
        graph: Graph,
        characters: Characters,
        name: str,
        slowly: Slowly | None = None,
    ) -> Characters:
        """Return what characters become.

        Args:
            graph: the graph to add to.
            characters: of texts.
            name: arrays are stored under names that begin with it.
            slowly: how to do it if certain characters are there.
        """
        if self.is_identity:
            return characters
        numbers = self._entries.copy()
        if slowly is not None:
            numbers[slowly.codes] += _HARD
        codes = characters.codes
        entries = look_up(graph, codes, pack(numbers), (f"{name}.pages", f"{name}.entries"))
        if not self._texts and slowly is None:
            return Characters(graph.add(codes, entries), characters.texts)
        most = graph.node("ReduceMax", entries, keepdims=0)

        def add_rarely(inner: Graph) -> list[Value]:
            if slowly is None:
                return self._expand(inner, characters, entries, name)

            def map_all(rare: Graph) -> Characters:
                is_hard = at_most(rare, np.int32(_EASY), entries)
                plain = rare.where(is_hard, rare.sub(entries, np.int32(_HARD)), entries)
                result = rare.branch(
                    rare.node("Less", rare.node("ReduceMax", plain, keepdims=0), np.int32(_IMAGES)),
                    lambda single: [single.add(codes, plain), characters.texts],
                    lambda several: self._expand(several, characters, plain, name),
                    _TYPES,
                )
                return Characters(*result)

            def do_slowly(rare: Graph) -> list[Value]:
                result = slowly.add(rare, characters, lambda: map_all(rare))
                return [result.codes, result.texts]

            return inner.branch(
                inner.node("Less", most, np.int32(_EASY)),
                lambda usual: self._expand(usual, characters, entries, name),
                do_slowly,
                _TYPES,
            )

        result = graph.branch(
            graph.node("Less", most, np.int32(_IMAGES)),
            lambda inner: [inner.add(codes, entries), characters.texts],
            add_rarely,
            _TYPES,
        )
        return Characters(*result)

    def _expand(self, graph: Graph, characters: Characters, entries: Value, name: str) -> list[Value]:
        """Return the codes and texts, where some characters become several or none."""
        sizes = np.array([len(text) for text in self._texts], dtype=np.int64)
        starts = np.cumsum(sizes) - sizes

        has_image = at_most(graph, np.int32(_IMAGES), entries)
        image = graph.where(has_image, graph.sub(entries, np.int32(_IMAGES)), np.int32(0))
        size = graph.where(has_image, take(graph, graph.constant(sizes), image), np.int64(1))
        owners, places = spread(graph, size)
        code, entry = take(graph, characters.codes, owners), take(graph, entries, owners)
        # The places of the images in the joined text, and 0 for characters that become one.
        start = graph.where(has_image, take(graph, graph.constant(starts), image), np.int64(0))
        place = graph.add(take(graph, start, owners), places)
        read = take(graph, graph.tensor(f"{name}.images", self._joined), place)
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
