"""Ids of a compiled BPE are those of the tokenizers library, for random merges and words of any length."""

from __future__ import annotations

from itertools import product
from random import Random
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import BPE

from portvec._vocabulary import blocks, merging
from portvec._vocabulary.file import pack_vocabulary, read_vocabulary
from portvec._vocabulary.merges import NO_RANK, Merges
from portvec._vocabulary.merging import GONE
from portvec._vocabulary.models import PieceModel, open_model
from portvec.errors import ArtifactError
from portvec_export._vocabulary.errors import NotCompilable
from portvec_export._vocabulary.merges import build_merges, compile_bpe
from project import FUZZ

# A NUL, a lone combining mark, an astral character and the last code point are letters like any other.
_LETTERS = "abc\0\u0301é漢\U0001f600\U0010ffff"
_UNKNOWN = ["x", "\u3042", "\U0001f9ff"]


class RandomBpe:
    """A random BPE with few letters, in which pairs overlap and merges compete."""

    def __init__(self, seed: int) -> None:
        self._random = random = Random(seed)
        self.letters = random.sample(_LETTERS, random.randint(1, 4))
        self.prefix = random.choice([None, None, None, "##", "a", "é", ""])
        self.suffix = random.choice([None, None, None, "</w>", "b", ""])
        self.unknown = random.choice([None, "<unk>", "<unk>", "a", ""])
        pieces = self._first_pieces()
        merges = self._merge(pieces)
        if random.random() < 0.3:  # then parts are made by later merges
            random.shuffle(merges)
        merges += random.choices(merges, k=random.choice([0, 2])) if merges else []  # the last rank counts
        pieces += [random.choice(pieces) + random.choice(pieces) for _ in range(3)]  # no merge gives these
        pieces = list(dict.fromkeys(pieces))
        self.pieces = pieces
        ids = random.sample(range(2 * len(pieces)), len(pieces))
        options = {
            "dropout": random.choice([None, None, 0.0]),
            "unk_token": self.unknown,
            "continuing_subword_prefix": self.prefix,
            "end_of_word_suffix": self.suffix,
            "fuse_unk": random.random() < 0.5,
            "byte_fallback": random.random() < 0.5,
            "ignore_merges": random.random() < 0.3,
        }
        given: Any = {name: value for name, value in options.items() if value is not None}
        self.tokenizer = Tokenizer(BPE(dict(zip(pieces, ids, strict=True)), merges, **given))

    def _first_pieces(self) -> list[str]:
        random, prefix, suffix = self._random, self.prefix or "", self.suffix or ""
        pieces = list(self.letters)
        pieces += [start + c + end for c, start, end in product(self.letters, ["", prefix], ["", suffix])]
        pieces = [piece for piece in dict.fromkeys(pieces) if random.random() < 0.95] or ["a"]
        spelled = [f"<0x{byte:02X}>" for byte in range(256)]
        pieces += random.choice([[], spelled, random.sample(spelled, 240)])
        return [*pieces, *([] if self.unknown is None else [self.unknown])]

    def _merge(self, pieces: list[str]) -> list[tuple[str, str]]:
        random = self._random
        cut = len((self.prefix or "").encode())
        merges = []
        frequent = [piece for piece in pieces if not piece.startswith("<0x")]
        frequent += random.sample(pieces, min(3, len(pieces)))
        for _ in range(random.choice([0, 3, 20, 80])):
            first, second = random.choice(frequent), random.choice(frequent)
            # The library cuts the bytes of the prefix off without looking, and aborts within a character.
            end = second.encode()[cut:].decode(errors="replace")
            if end and "\ufffd" not in end and len(first + end) < 30:
                merges.append((first, second))
                frequent.append(first + end)
                pieces.append(first + end)
        return merges

    def words(self, count: int) -> list[str]:
        random = self._random
        parts = [*self.letters, *_UNKNOWN, *random.choices(self.pieces, k=5)]
        weights = [8] * len(self.letters) + [random.choice([0.1, 2])] * (len(parts) - len(self.letters))
        sizes = random.choices([1, 2, 3, 8, 8, 9, 10, 30, 70], k=count)
        words = ["".join(random.choices(parts, weights, k=size)) for size in sizes]
        words += [letter * size for letter in self.letters for size in range(1, 12)]
        return [word for word in [*words, *self.pieces[:40]] if word]


def compiled(tokenizer: Tokenizer) -> PieceModel:
    return opened(*compile_bpe(tokenizer))


def opened(facts: dict[str, Any], arrays: dict[str, Any]) -> PieceModel:
    content = pack_vocabulary({"model": {"type": "BPE", **facts}}, arrays)
    return open_model(read_vocabulary(content, "vocabulary"))


def expected(tokenizer: Tokenizer, words: list[str]) -> list[list[int]]:
    return [[token.id for token in tokenizer.model.tokenize(word)] for word in words]


@pytest.mark.fuzz
def test_ids_are_those_of_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(100 * FUZZ):
        source = RandomBpe(seed)
        model, words = compiled(source.tokenizer), source.words(60)
        wanted = expected(source.tokenizer, words)
        assert [model.encode_one(word) for word in words] == wanted, seed
        # One block and several, and words merged in columns, one by one, or both.
        monkeypatch.setattr(blocks, "FEW", seed % 3)
        monkeypatch.setattr(blocks, "BLOCK", 1 << 15 if seed % 2 else 40)
        monkeypatch.setattr(merging, "_FEW", seed % 5)
        monkeypatch.setattr(merging, "_LONGEST", [128, 9, 1 << 20][seed % 3])
        found = model.encode(words)
        assert found.lists() == wanted, seed
        assert found.ids.dtype == found.offsets.dtype == np.int64


def test_no_words_have_no_ids() -> None:
    assert compiled(RandomBpe(0).tokenizer).encode([]).lists() == []


@pytest.mark.parametrize("letters", ["a", "ab", "abx"])
def test_words_of_any_length(letters: str) -> None:
    """Long words among many short ones, with as many merges as there can be."""
    powers = ["a" * 2**n for n in range(8)]
    pieces = [*powers, "b", "ab", "abab", "<unk>"]
    merges = [*((power, power) for power in powers[:-1]), ("a", "b"), ("ab", "ab")]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = Tokenizer(BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True))
    random = Random(letters)
    sizes = [1, 2, 127, 128, 129, 1_000, 5_000, 40_000, *random.choices(range(1, 40), k=2_000)]
    words = ["".join(random.choices(letters, k=size)) for size in sizes]
    model = compiled(tokenizer)
    wanted = expected(tokenizer, words)
    assert model.encode(words).lists() == wanted
    assert [model.encode_one(word) for word in words] == wanted


def test_the_cache_of_the_library_does_not_matter() -> None:
    source = RandomBpe(3)
    words = source.words(200)
    assert expected(source.tokenizer, words) == expected(source.tokenizer, words[::-1])[::-1]


def _table(left: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> Merges:
    arrays = build_merges(left, right, np.arange(len(left)))
    return Merges(read_vocabulary(pack_vocabulary({}, arrays), "vocabulary"))


def _row(count: int) -> list[tuple[int, int]]:
    return [(7, right) for right in range(count)]


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [(0, 0)],
        [(1_000_000, 3), (3, 1_000_000)],
        _row(3_000),
        [(right, left) for left, right in _row(3_000)],
        [(n, n) for n in range(3_000)],
        list(product(range(64), range(64))),  # as many merges as slots
        list(product(range(512), range(0, 512, 3))),
    ],
    ids=["none", "one", "far", "row", "column", "diagonal", "all", "many"],
)
def test_every_merge_is_found_and_no_other(pairs: list[tuple[int, int]]) -> None:
    left, right = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    table = _table(left, right)
    ranks = {pair: rank for rank, pair in enumerate(pairs)}
    random = Random(0)
    ids = [*[GONE] * 500, *range(3_000)]
    asked = [
        *pairs,
        (GONE, GONE),
        *zip(random.choices(ids, k=3_000), random.choices(ids, k=3_000), strict=True),
    ]
    wanted = [ranks.get(pair, NO_RANK) for pair in asked]
    columns = np.array(asked, dtype=np.int32).T
    assert table.ranks(columns[0].copy(), columns[1].copy()).tolist() == wanted
    assert [table.rank_of(a, b) for a, b in asked] == wanted


class TestWhatIsNotCompiled:
    """The reason is for people."""

    @pytest.mark.parametrize(
        ("model", "reason"),
        [
            (BPE({"a": 0}, [], dropout=0.1), "its BPE has dropout"),
            (BPE({"a": 0, "b": 0}, []), "two pieces of its BPE have the same id"),
            (
                BPE({"a": 0}, [], unk_token="<unk>"),
                "the unknown token of its BPE is not in the vocabulary",
            ),
            (
                BPE({"a": 0, "##": 1}, [("a", "##")], continuing_subword_prefix="##"),
                "a merge of its BPE adds nothing",
            ),
            (BPE({}, []), "its vocabulary is empty"),
        ],
    )
    def test_reasons(self, model: BPE, reason: str) -> None:
        with pytest.raises(NotCompilable) as error:
            compile_bpe(Tokenizer(model))
        assert str(error.value) == reason


class TestFilesThatLie:
    """Whoever writes a file can give it any arrays with a right checksum."""

    @pytest.mark.fuzz
    def test_words_get_some_ids(self) -> None:
        refused = 0
        for seed in range(50 * FUZZ):
            source, random = RandomBpe(seed), Random(seed)
            facts, arrays = compile_bpe(source.tokenizer)
            arrays = {name: array.copy() for name, array in arrays.items()}
            names = [name for name in arrays if name.startswith("merge_")]
            for _ in range(random.choice([1, 5, 50])):
                array = arrays[random.choice(names)]
                value = random.choice([-(2**31), -2, -1, 0, 1, 2, 3, 2**31 - 1, int(random.choice(array))])
                array[random.randrange(len(array))] = value
            try:
                model = opened(facts, arrays)
            except ArtifactError:
                refused += 1
                continue
            words = source.words(30) * 10
            found = model.encode(words)
            assert len(found.offsets) == len(words) + 1
            assert (found.ids >= 0).all()
            for word in words[:60]:
                assert min(model.encode_one(word), default=0) >= 0
        assert 0 < refused < 50 * FUZZ

    @pytest.mark.parametrize(
        ("name", "index", "value", "fault"),
        [
            ("merge_pairs", 0, -2, "a merge has a negative token id"),
            ("merge_ranks", 0, 1, "a rank of a merge has no token"),
            ("merge_ranks", 0, -1, "a rank of a merge has no token"),
            ("merge_tokens", 0, -1, "a merge gives a negative token id"),
            ("merge_base", None, 3, "array 'merge_base' has 3 elements, expected a power of two"),
            ("merge_pairs", None, 8, "array 'merge_pairs' has 8 elements, expected 4"),
        ],
    )
    def test_it_is_refused(self, name: str, index: int | None, value: int, fault: str) -> None:
        pieces = {"a": 0, "b": 1, "c": 2, "ab": 3}
        facts, arrays = compile_bpe(Tokenizer(BPE(pieces, [("a", "b")])))
        arrays = {name: array.copy() for name, array in arrays.items()}
        if index is None:
            arrays[name] = np.zeros(value, dtype=np.int32)
        else:
            arrays[name][index] = value
        with pytest.raises(ArtifactError) as error:
            opened(facts, arrays)
        assert str(error.value) == f"vocabulary: {fault}; export the model again"
