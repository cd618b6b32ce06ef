"""Added tokens that are written in a text, which become single negative codes.

Of the tokens that begin at one place the longest counts, and of those that overlap the first. A text has few
of them or none, so a cheap look for their first characters decides whether to search at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from portvec._vocabulary.kinds import LETTER, SPACE
from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Type, Value
from portvec_export._text_input.arrays.chains import follow_chain
from portvec_export._text_input.arrays.flat import Characters, before, find_true, is_any, running_sum, take
from portvec_export._text_input.arrays.segments import cut_at_tokens
from portvec_export._text_input.arrays.trie import PieceTrie
from portvec_export._text_input.errors import NotExpressible
from portvec_export._text_input.pre_tokenization.kinds import add_kinds, kinds_of_all
from portvec_export._vocabulary.added_tokens import find_ambiguity
from portvec_export._vocabulary.normalizer_steps import load_normalizer
from portvec_export._vocabulary.pieces import compile_trie

# Up to so many first characters, comparing with each is cheaper than looking in a table.
_FEW: Final = 8

_TYPES: Final[list[Type]] = [(np.int32, [None]), (np.int64, [None])]


def add_added_tokens(
    graph: Graph, characters: Characters, parts: Mapping[str, Any], *, normalized: bool
) -> Characters:
    """Return characters with a negative code for each added token that is written in them.

    Args:
        graph: the graph to add to.
        characters: of texts, before or after the normalizer.
        parts: the entries "normalizer" and "added_tokens" of tokenizer.json.
        normalized: whether to look for the tokens that are normalized, in normalized text, or for the others,
            which are to be found first.

    Raises:
        NotExpressible: nothing says which of two tokens is found.
    """
    ambiguity = find_ambiguity(parts)
    if ambiguity is not None:
        raise NotExpressible(ambiguity)
    tokens = [
        token for token in parts["added_tokens"] if token["normalized"] == normalized and token["content"]
    ]
    if not tokens:
        return characters
    normalize = str if not normalized or parts["normalizer"] is None else load_normalizer(parts["normalizer"])
    contents = [normalize(token["content"]) for token in tokens]
    return _Search(contents, tokens, f"added_tokens_{int(normalized)}").add(graph, characters)


@dataclass(frozen=True)
class _Matches:
    """Places where tokens are written, in order.

    Attributes:
        tokens: int32 (matches,), the number of each token.
        starts: int64 (matches,), the place where each begins.
        ends: int64 (matches,), the place behind each.
    """

    tokens: Value
    starts: Value
    ends: Value

    def where(self, graph: Graph, condition: Value) -> _Matches:
        """Return the matches for which a condition, bool (matches,), holds."""
        rows = find_true(graph, condition)
        return _Matches(*(take(graph, each, rows) for each in (self.tokens, self.starts, self.ends)))


class _Search:
    """The search for some tokens."""

    def __init__(self, contents: list[str], tokens: list[Mapping[str, Any]], name: str) -> None:
        self._contents = contents
        self._tokens = tokens
        self._name = name
        self._trie = PieceTrie(compile_trie({content: row for row, content in enumerate(contents)}), name)
        self._needs_kinds = any(token[flag] for token in tokens for flag in _FLAGS)
        self._kinds = kinds_of_all({"type": "Whitespace"}) if self._needs_kinds else None
        spaces = (
            "" if self._kinds is None else "".join(map(chr, np.flatnonzero(self._kinds == SPACE).tolist()))
        )
        if any(token["rstrip"] for token in tokens) and any(content[0] in spaces for content in contents):
            raise NotExpressible("an added token takes white space after it that may begin another")

    def add(self, graph: Graph, characters: Characters) -> Characters:
        """Return characters with codes for tokens."""
        firsts = self._find_firsts(graph, characters.codes)
        places = find_true(graph, firsts)

        def search(inner: Graph) -> list[Value]:
            return self._replace(inner, characters, places)

        def keep_all(inner: Graph) -> list[Value]:
            return [characters.codes, characters.texts]

        return Characters(*graph.branch(is_any(graph, places), search, keep_all, _TYPES))

    def _find_firsts(self, graph: Graph, codes: Value) -> Value:
        """Return where a token may begin."""
        firsts = sorted({content[0] for content in self._contents})
        if len(firsts) > _FEW:
            return self._trie.step_from(graph, 0, self._trie.symbols(graph, codes))[1]
        found = graph.equal(codes, np.int32(ord(firsts[0])))
        for character in firsts[1:]:
            found = graph.node("Or", found, graph.equal(codes, np.int32(ord(character))))
        return found

    def _replace(self, graph: Graph, characters: Characters, places: Value) -> list[Value]:
        pieces = cut_at_tokens(graph, characters)
        kinds = None
        if self._kinds is not None:
            kinds = add_kinds(graph, characters.codes, self._kinds, f"{self._name}.word")
        matches = self._match(graph, characters, pieces.starts, places)
        matches = matches.where(graph, _find_apart(graph, characters, matches))
        if kinds is not None and self._have("single_word").any():
            matches = matches.where(graph, self._stand_alone(graph, matches, kinds, pieces.starts))

        codes = characters.codes
        ids = np.array([-1 - token["id"] for token in self._tokens], np.int32)
        token_codes = take(graph, graph.constant(ids), matches.tokens)
        codes = graph.node("ScatterElements", codes, matches.starts, token_codes, axis=0)
        is_start = _mark(graph, characters, matches.starts)
        covered = running_sum(graph, graph.sub(is_start, _mark(graph, characters, matches.ends)))
        if kinds is not None:
            is_space = graph.node("And", graph.equal(kinds, np.int32(SPACE)), _is_zero(graph, covered))
            covered = graph.add(covered, self._strip(graph, characters, matches, is_space, pieces.starts))
        kept = find_true(graph, graph.node("Or", _is_zero(graph, covered), graph.cast(is_start, np.bool_)))
        return [take(graph, codes, kept), take(graph, characters.texts, kept)]

    def _match(self, graph: Graph, characters: Characters, starts: Value, places: Value) -> _Matches:
        """Return the longest token at each place, if there is one, and whatever it overlaps."""
        symbols = self._trie.symbols(graph, characters.codes)
        first, found = self._trie.step_from(graph, 0, take(graph, symbols, places))
        rows = find_true(graph, found)
        places, states = take(graph, places, rows), take(graph, first, rows)
        # No way leads on into the next text.
        inner = graph.where(starts, np.int32(0), symbols)
        last = self._trie.walk(graph, inner, graph.add(places, np.int64(1)), states, self._trie.longest - 1)
        tokens, lengths = self._trie.last_piece(graph, last)
        ends = graph.add(places, graph.cast(lengths, np.int64))
        is_token = graph.node("Not", graph.node("Less", tokens, np.int32(0)))
        return _Matches(tokens, places, ends).where(graph, is_token)

    def _stand_alone(self, graph: Graph, matches: _Matches, kinds: Value, starts: Value) -> Value:
        """Return for which matches no letter is beside them, or need not be looked for."""
        is_letter = graph.node("And", graph.equal(kinds, np.int32(LETTER)), graph.node("Not", starts))
        letter_after = take(graph, is_letter, matches.ends)
        # A text starts behind its first character, seen from there.
        letters = graph.equal(before(graph, kinds, np.int32(SPACE)), np.int32(LETTER))
        letters = graph.node("And", letters, graph.node("Not", starts))
        beside = graph.node("Or", letter_after, take(graph, letters, matches.starts))
        return graph.node("Not", graph.node("And", beside, self._has(graph, "single_word", matches)))

    def _strip(
        self, graph: Graph, characters: Characters, matches: _Matches, is_space: Value, starts: Value
    ) -> Value:
        """Return which characters, int32 (n,), are white space that the token before or after it takes."""
        runs = graph.node(
            "Or", starts, graph.node("Not", graph.equal(is_space, before(graph, is_space, np.bool_(False))))
        )
        runs = running_sum(graph, graph.cast(runs, np.int64))
        taken = graph.mul(runs, np.int64(0))
        one = np.int64(1)
        if self._have("rstrip").any():
            ends = matches.where(graph, self._has(graph, "rstrip", matches)).ends
            same_text = graph.node("Not", take(graph, starts, ends))
            ends = take(graph, ends, find_true(graph, same_text))
            taken = self._take_runs(graph, taken, take(graph, runs, ends))
        if self._have("lstrip").any():
            firsts = matches.where(graph, self._has(graph, "lstrip", matches)).starts
            same_text = graph.node("Not", take(graph, starts, firsts))
            firsts = take(graph, firsts, find_true(graph, same_text))
            taken = self._take_runs(graph, taken, take(graph, runs, graph.sub(firsts, one)))
        in_taken = graph.node("Greater", take(graph, taken, graph.sub(runs, one)), np.int64(0))
        return graph.cast(graph.node("And", in_taken, is_space), np.int32)

    @staticmethod
    def _take_runs(graph: Graph, taken: Value, runs: Value) -> Value:
        ones = graph.add(graph.mul(runs, np.int64(0)), np.int64(1))
        return graph.node("ScatterElements", taken, graph.sub(runs, np.int64(1)), ones, axis=0)

    def _have(self, flag: str) -> Any:
        return np.array([token[flag] for token in self._tokens], dtype=np.bool_)

    def _has(self, graph: Graph, flag: str, matches: _Matches) -> Value:
        """Return whether the token of each match has a flag, bool (matches,)."""
        return take(graph, graph.constant(self._have(flag)), matches.tokens)


_FLAGS: Final = ("single_word", "lstrip", "rstrip")


def _find_apart(graph: Graph, characters: Characters, matches: _Matches) -> Value:
    """Return which matches count, bool (matches,): from the first on, the next that does not overlap."""
    is_start = _mark(graph, characters, matches.starts)
    earlier = running_sum(graph, graph.cast(is_start, np.int64), exclusive=True)
    return follow_chain(graph, take(graph, earlier, matches.ends))


def _mark(graph: Graph, characters: Characters, places: Value) -> Value:
    """Return 1 at places and 0 at all others, int32 (characters,)."""
    zeros = graph.mul(characters.codes, np.int32(0))
    ones = graph.cast(graph.equal(places, places), np.int32)
    return graph.node("ScatterElements", zeros, places, ones, axis=0)


def _is_zero(graph: Graph, values: Value) -> Value:
    return graph.equal(values, np.int32(0))
