"""The trie of a compiled vocabulary, compared with a dict."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from portvec._vocabulary.file import VocabularyFile
from portvec._vocabulary.layout import lay_out
from portvec._vocabulary.trie import Trie
from portvec_export._vocabulary.trie import build_trie, displace_rows


def make_trie(pieces: dict[str, int]) -> Trie:
    arrays = build_trie(list(pieces), np.fromiter(pieces.values(), np.int64, len(pieces)))
    assert all(array.dtype == np.int32 for array in arrays.values())
    return Trie(VocabularyFile({}, arrays))


@pytest.mark.parametrize("letters", [1, 2, 5, 80, 3_000])
@pytest.mark.parametrize("count", [1, 2, 10, 1_000])
def test_a_trie_behaves_like_a_dict(letters: int, count: int) -> None:
    random = Random(letters * count)
    every = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    alphabet = ["\0", *map(chr, random.sample(every, letters))]
    made = {"".join(random.choices(alphabet, k=random.randint(1, 6))) for _ in range(2 * count)}
    texts = sorted(made)
    pieces = {text: token_id for token_id, text in enumerate(texts[::2])}
    trie = make_trie(pieces)
    near = (
        [text[:-1] for text in texts if len(text) > 1] + [text + "\0" for text in texts] + ["\x01", "\ue000"]
    )
    texts += near
    wanted = [pieces.get(text, -1) for text in texts]
    assert [trie.find_one(text) for text in texts] == wanted
    codes, starts, lengths = lay_out(texts)
    symbols = trie.symbols(codes)
    assert trie.find(symbols, starts, lengths).tolist() == wanted
    assert "".join(map(chr, codes)) == "\0".join([*texts, ""])
    assert trie.symbols_of("".join(texts)) == [s for text in texts for s in trie.symbols_of(text)]
    ends = starts + lengths
    assert np.delete(symbols, ends).tolist() == trie.symbols_of("".join(texts))


def test_only_children_with_large_symbols() -> None:
    """A free slot below the symbol would give the parent a negative base."""
    pieces = {chr(0x4E00 + at) + chr(0x4E00 + 2_000 - at): at for at in range(2_000)}
    trie = make_trie(pieces)
    assert all(trie.find_one(piece) == token_id for piece, token_id in pieces.items())


def test_rows_without_room_at_the_start() -> None:
    """A chain of states, each with one child by the largest symbol."""
    parents, steps = np.arange(50), np.full(50, 1_000)
    base, slots = displace_rows(parents, steps, 51)
    assert base.min() >= 0
    assert slots[0] == 0
    assert len(set(slots.tolist())) == 51
    np.testing.assert_array_equal(slots[1:], base[parents] + steps)


def test_a_state_with_very_many_children() -> None:
    pieces = {chr(0x4E00 + at): at for at in range(20_000)}
    pieces |= {"x" + piece: 20_000 + at for at, piece in enumerate(list(pieces))}
    trie = make_trie(pieces)
    assert all(trie.find_one(piece) == token_id for piece, token_id in pieces.items())
    assert len(trie.base) < 3 * len(pieces)
