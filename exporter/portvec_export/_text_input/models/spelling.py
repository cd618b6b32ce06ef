"""The tokens of a word's characters, from which a BPE starts, in a graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from portvec._vocabulary.characters import PAGE, PAGES
from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Type, Value
from portvec_export._text_input.arrays.expansion import repeat
from portvec_export._text_input.arrays.flat import Words, after, before, keep, look_up, make_table, take
from portvec_export._text_input.arrays.utf8 import count_bytes, find_bytes
from portvec_export._text_input.errors import NotExpressible
from portvec_export._vocabulary.pieces import compile_bytes
from portvec_export._vocabulary.tables import pack_table

if TYPE_CHECKING:
    import numpy.typing as npt

# The code of byte b of a character without a token is `_BYTES + b`.
_BYTES = PAGES * PAGE
# Bytes that no character has in UTF-8.
_UNUSED = [0xC0, 0xC1, *range(0xF5, 0x100)]


class Spelling:
    """The ids of characters, stored in a graph."""

    def __init__(self, graph: Graph, pieces: Mapping[str, int], facts: Mapping[str, Any]) -> None:
        """Store the ids.

        Args:
            graph: to store them in.
            pieces: the ids of all pieces.
            facts: what `portvec_export._vocabulary.merges.compile_bpe` says about the BPE.

        Raises:
            NotExpressible: characters are spelled with bytes, and something of that is unusual.
        """
        self._unknown: int | None = facts["unk_id"]
        self._fuses: bool = facts["fuse_unk"]
        prefix, suffix = facts["continuing_subword_prefix"], facts["end_of_word_suffix"]
        self._has_affixes = bool(prefix or suffix)
        self._has_bytes: bool = facts["byte_fallback"]
        byte_ids = np.full(PAGE, -1, np.int32)
        if self._has_bytes:
            byte_ids[:] = compile_bytes(pieces)["byte_ids"]
            if self._has_affixes:
                raise NotExpressible("its BPE has byte_fallback beside a prefix or a suffix")
            if np.delete(byte_ids, _UNUSED).min() < 0:
                raise NotExpressible("its BPE has byte_fallback, and a byte has no token")
        # By whether a character is not the first of its word, and by whether it is the last.
        self._tables = {
            (inner, last): _Table(graph, pieces, prefix * inner, suffix * last, byte_ids)
            for inner in range(1 + bool(prefix))
            for last in range(1 + bool(suffix))
        }

    def add_bytes(self, graph: Graph, words: Words) -> Words:
        """Replace each character without a token by its bytes, if the model does so."""
        if not self._has_bytes:
            return words
        ids = self._tables[0, 0].find(graph, words.codes)
        is_spelled = graph.node(
            "And",
            graph.node("Less", ids, np.int32(0)),
            graph.node("GreaterOrEqual", words.codes, np.int32(0)),
        )

        def spell(body: Graph) -> list[Value]:
            counts = body.where(is_spelled, count_bytes(body, words.codes), np.int32(1))
            owners, left = repeat(body, counts)
            codes = take(body, words.codes, owners)
            known = body.maximum(codes, np.int32(0))
            found = find_bytes(body, known, count_bytes(body, known), left)
            spelled = body.add(found, np.int32(_BYTES))
            codes = body.where(take(body, is_spelled, owners), spelled, codes)
            return [codes, take(body, words.words, owners)]

        types: list[Type] = [(np.int32, [None]), (np.int64, [None])]
        any_spelled = graph.node("ReduceMax", graph.cast(is_spelled, np.int32), keepdims=0)
        codes, numbers = graph.branch(
            graph.cast(any_spelled, np.bool_), spell, lambda _: [words.codes, words.words], types
        )
        return Words(codes, numbers, words.texts)

    def find(self, graph: Graph, codes: Value, words: Value, places: Value) -> list[Value]:
        """Return the ids, int32 (m,), of characters, and the words and places of those that have one.

        Args:
            graph: to add the nodes to.
            codes: int32 (n,), of whole words. None is negative.
            words: int64 (n,).
            places: int64 (n,), where each character is.
        """
        ids = self._find_ids(graph, codes, words)
        is_unknown = graph.node("Less", ids, np.int32(0))
        if self._has_bytes:
            return [ids, words, places]
        if self._unknown is None:
            return keep(graph, graph.node("Not", is_unknown), ids, words, places)
        ids = graph.where(is_unknown, np.int32(self._unknown), ids)
        if not self._fuses:
            return [ids, words, places]
        is_inside = graph.equal(words, before(graph, words, np.int64(-1)))
        follows = graph.node("And", is_inside, before(graph, is_unknown, np.bool_(False)))
        is_fused = graph.node("And", is_unknown, follows)
        return keep(graph, graph.node("Not", is_fused), ids, words, places)

    def _find_ids(self, graph: Graph, codes: Value, words: Value) -> Value:
        found = {key: table.find(graph, codes) for key, table in self._tables.items()}
        if not self._has_affixes:
            return found[0, 0]
        is_inner = graph.equal(words, before(graph, words, np.int64(-1)))
        is_last = graph.node("Not", graph.equal(words, after(graph, words, np.int64(-1))))
        has_inner, has_last = (1, 0) in found, (0, 1) in found
        if has_inner:
            lasts = range(1 + has_last)
            found = {(0, last): graph.where(is_inner, found[1, last], found[0, last]) for last in lasts}
        return graph.where(is_last, found[0, 1], found[0, 0]) if has_last else found[0, 0]


class _Table:
    """The id of each character with an affix on either side, and of each byte."""

    def __init__(
        self,
        graph: Graph,
        pieces: Mapping[str, int],
        prefix: str,
        suffix: str,
        byte_ids: npt.NDArray[np.int32],
    ) -> None:
        table = np.full(PAGES * PAGE, -1, np.int32)
        for piece, token_id in pieces.items():
            character = piece.removeprefix(prefix).removesuffix(suffix)
            if len(character) == 1 and prefix + character + suffix == piece:
                table[ord(character)] = token_id
        name = f"characters{'.inner' * bool(prefix)}{'.last' * bool(suffix)}"
        self._names = (f"{name}.pages", f"{name}.ids")
        arrays = pack_table("pages", "ids", table)
        pages = np.append(arrays["pages"] * PAGE, len(arrays["ids"]))
        self._ids = make_table(pages, np.append(arrays["ids"], byte_ids).astype(np.int32), -1)

    def find(self, graph: Graph, codes: Value) -> Value:
        """Return the id, int32 (n,), of each code, int32 (n,), and anything for those that are negative."""
        return look_up(graph, codes, self._ids, self._names)
