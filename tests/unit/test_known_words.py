"""Single texts of known words: the ids of `tokenizers` under the rules of the model, whatever is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import pytest
from model2vec import StaticModel
from tokenizers import AddedToken, Tokenizer

import matrix
import tiny_models
from comparison import reference_ids
from corpus import paragraphs
from portvec import StaticEmbedder
from portvec._artifact.folder import open_artifact
from portvec._tokenization.compiled import CompiledLearner
from portvec._tokenization.known_words import MOST_IDS, KnownWords
from portvec._tokenization.selection import choose_tokenizer
from portvec._vocabulary.file import read_vocabulary
from portvec._vocabulary.token_ids import Ids
from portvec.errors import ArtifactError, InputError
from portvec_export import export_model
from portvec_export._vocabulary.compile import compile_vocabulary
from project import FUZZ

ADDED = ["return value", "[SEP]", "été"]


def with_added(tokenizer: Tokenizer) -> Tokenizer:
    """Add tokens with and without a space in them."""
    tokenizer.add_tokens([AddedToken(content, normalized=False) for content in ADDED])
    return tokenizer


KINDS: dict[str, Callable[[], Tokenizer]] = {
    "WordPiece": lambda: with_added(tiny_models.tokenizer("wordpiece")),
    "Unigram": lambda: with_added(matrix.unigram_sentencepiece()),
    "Unigram, WhitespaceSplit": lambda: with_added(matrix.unigram_xlmr()),
    "BPE": lambda: with_added(tiny_models.tokenizer("bpe")),
    "BPE, bytes": matrix.bpe_sentencepiece,
    "WordLevel": lambda: tiny_models.tokenizer("wordlevel"),
}


class Case:
    """A tokenizer, what it is compiled to, and the words that were asked for."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.learner = CompiledLearner(read_vocabulary(compile_vocabulary(tokenizer, []), "vocabulary"))
        self.asked: list[str] = []

    def find_ids(self, word: str) -> Sequence[int] | None:
        self.asked.append(word)
        return self.learner.find_ids(word)

    def known_words(self, **options: Any) -> KnownWords:
        defaults: dict[str, Any] = {"max_length": None, "unk_id": None, "vocabulary_size": 2**31}
        return KnownWords(self, self.learner.rules, **{**defaults, **options})

    def expected(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return ids


@pytest.fixture(scope="module", params=KINDS)
def case(request: pytest.FixtureRequest) -> Case:
    return Case(KINDS[request.param]())


@pytest.fixture(scope="module")
def wordpiece() -> Case:
    return Case(KINDS["WordPiece"]())


SPACES = [chr(code) for code in range(0x3001) if chr(code).isspace()]
PARTS = [
    *["the", "value", "return", "a", "Of", "x", "unbelievable", "12", "日本", "é", "e\u0301", "ﬁ"],
    *[" ", " ", " ", " ", "  ", *SPACES, *"\0\1\u200b\u200d\ufeff\ufffd\u0301\u0345\u0600"],
    *["▁", " ▁", "'s", "!", ",", "[UNK]", "<s>", "<unk>", "<|endoftext|>", *ADDED, "return ", " value"],
    "\U0010fffe",
]


@pytest.mark.fuzz
def test_ids_are_those_of_tokenizers(case: Case) -> None:
    """Words and white space of every kind, in any order: what is known does not matter."""
    random = Random(1)
    words = case.known_words(most_ids=random.choice([50, 500, MOST_IDS]))
    found = 0
    count = 1500 * FUZZ
    for _ in range(count):
        parts = random.choices([PARTS, PARTS[:12] + [" "] * 12], [1, 2])[0]
        text = "".join(random.choices(parts, k=random.randint(0, 12)))
        ids = words.find(text)
        if ids is not None:
            found += 1
            assert ids.tolist() == case.expected(text), repr(text)
    assert found > count / 4


def ids_of(found: Ids | None) -> list[int]:
    assert found is not None
    ids: list[int] = found.tolist()
    return ids


def test_text_of_known_words_asks_for_none(case: Case) -> None:
    words = case.known_words()
    texts = ["the value of the function", "the function of the value", "value", "", "function of value"]
    first = [ids_of(words.find(text)) for text in texts]
    assert first == [case.expected(text) for text in texts]
    case.asked.clear()
    assert [ids_of(words.find(text)) for text in texts] == first
    assert case.asked == []


@pytest.mark.parametrize("space", [*SPACES, "  ", " \n", "\t ", "▁"], ids=ascii)
def test_white_space_of_every_kind(case: Case, space: str) -> None:
    words = case.known_words()
    for text in ("the value", "the", "value"):  # so that they are known
        words.find(text)
    for _ in range(2):
        for text in (
            "the{}value",
            "{}the value",
            "the value{}",
            "the{} value",
            "the {}value",
            "{}",
            "the {} a",
        ):
            text = text.format(space)
            ids = words.find(text)
            assert ids is None or ids.tolist() == case.expected(text), repr(text)


def test_added_tokens_of_several_words(wordpiece: Case) -> None:
    words = wordpiece.known_words()
    assert ids_of(words.find("return a value")) == wordpiece.expected("return a value")
    for text in ("return value", "a return value", "return value of", "the return values"):
        assert words.find(text) is None
    assert ids_of(words.find("return the value")) == wordpiece.expected("return the value")
    assert words.find("the [SEP]") is None
    assert words.find("the été") is None


def test_unknown_token_is_left_out_wherever_it_is(wordpiece: Case) -> None:
    unk_id = wordpiece.tokenizer.token_to_id("[UNK]")
    words = wordpiece.known_words(unk_id=unk_id)
    for text in ("the ☃ value", "☃ the", "the ☃", "☃", "☃ ☃ a ☃"):
        expected = wordpiece.expected(text)
        assert unk_id in expected
        for _ in range(2):
            assert ids_of(words.find(text)) == [token_id for token_id in expected if token_id != unk_id]


@pytest.mark.parametrize("room", [0, 1, 2, 3, 20, 100])
def test_room(case: Case, room: int) -> None:
    words = case.known_words(most_ids=room)
    texts = [paragraph[:60] for paragraph in paragraphs(100)]
    for text in texts * 2:
        ids = words.find(text)
        assert ids is None or ids.tolist() == case.expected(text)
        assert sum(1 + len(kept) // 8 for word, kept in words._known.items() if word) <= room
    case.asked.clear()
    words.find("the the the")
    # A word counts as one id more than it has.
    assert len(case.asked) == (3 if room <= 1 else len(set(case.asked)))


def test_starts_again_where_it_is_full(wordpiece: Case) -> None:
    words = wordpiece.known_words(most_ids=40)
    for number in range(300):
        text = f"value {number} the x{number}"
        assert ids_of(words.find(text)) == wordpiece.expected(text)
    words.find("return the function")
    wordpiece.asked.clear()
    words.find("function the return")
    assert wordpiece.asked == []


def test_long_words_are_not_kept(wordpiece: Case) -> None:
    words = wordpiece.known_words()
    text = "the " + "x" * 65
    for _ in range(2):
        wordpiece.asked.clear()
        assert ids_of(words.find(text)) == wordpiece.expected(text)
    assert wordpiece.asked == ["x" * 65]


def test_under_threads(case: Case) -> None:
    words = case.known_words(most_ids=60)
    texts = [paragraph[:80] for paragraph in paragraphs(200)]
    expected = [case.expected(text) for text in texts]
    with ThreadPoolExecutor(4) as executor:
        for _ in range(3):
            found = list(executor.map(words.find, texts))
            assert all(got is None or got.tolist() == ids for got, ids in zip(found, expected, strict=True))
    assert sum(got is not None for got in found) > 20


@pytest.mark.parametrize("max_length", [None, 0, 1, 2, 5])
def test_texts_that_may_be_truncated_are_left(case: Case, max_length: int | None) -> None:
    words = case.known_words(max_length=max_length)
    for size in (0, 1, 2, 4, 5, 6, 2047, 2048):
        text = ("a " * size)[:size].rstrip() + "a" * (size and size % 2 == 0)
        assert len(text) == size
        found = words.find(text)
        if size >= (2048 if max_length is None else max_length):
            assert found is None
        else:
            assert ids_of(found) == case.expected(text)


def test_ids_that_are_not_valid_are_left(wordpiece: Case) -> None:
    the = wordpiece.tokenizer.token_to_id("the")
    assert the is not None
    assert wordpiece.known_words(vocabulary_size=the).find("the") is None
    assert ids_of(wordpiece.known_words(vocabulary_size=the + 1).find("the")) == [the]

    class Negative:
        def find_ids(self, word: str) -> list[int]:
            return [-1]

    rules = wordpiece.learner.rules
    words = KnownWords(Negative(), rules, max_length=None, unk_id=None, vocabulary_size=5)
    assert words.find("the") is None


def test_more_ids_than_characters_are_left(wordpiece: Case) -> None:
    class Many:
        def find_ids(self, word: str) -> list[int]:
            return [0] * (len(word) + 2)

    words = KnownWords(Many(), wordpiece.learner.rules, max_length=4, unk_id=None, vocabulary_size=5)
    assert words.find("a") is None


@pytest.mark.parametrize("max_length", [1, 2, 7, 100, None])
@pytest.mark.parametrize("kind", ["wordpiece", "unigram", "bpe"])
def test_truncation_is_that_of_model2vec(
    kind: tiny_models.Kind, max_length: int | None, tmp_path: Path
) -> None:
    """Near the limits in tokens and in characters: one by one, few and many."""
    source = tiny_models.save(tmp_path / "model", kind)
    artifact = export_model(source, tmp_path / "artifact", max_length=max_length)
    tokenizer = choose_tokenizer(open_artifact(artifact), "compiled")
    model = StaticModel.from_pretrained(source, max_length=max_length)
    manifest = open_artifact(artifact).manifest
    sizes = {0, 1, 2, 3, 8}
    for limit in (manifest.max_length, manifest.max_characters):
        if limit is not None:
            sizes |= {limit - 1, limit, limit + 1}
    units = ["a ", "the ", "x", "☃ ", " ", "é"]
    texts = [(unit * size)[:size] for unit in units for size in sorted(sizes)]
    texts += [unit * size for unit in ("a ", "the ", "value ☃ ") for size in sorted(sizes)]
    expected = reference_ids(model, texts)
    for _ in range(2):
        assert [tokenizer.tokenize_one(text).tolist() for text in texts] == expected
        for start in range(0, len(texts), 7):
            assert tokenizer.tokenize(texts[start : start + 7]).lists() == expected[start : start + 7]
        assert tokenizer.tokenize(texts).lists() == expected


def test_few_texts_are_found_like_one(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = choose_tokenizer(open_artifact(tiny), "compiled")
    texts = [f"the value {number} of a function" for number in range(17)]
    expected = tokenizer.tokenize(texts).lists()

    def fail(_: object, texts: Sequence[str]) -> None:
        raise RuntimeError

    monkeypatch.setattr("portvec._tokenization.growing.GrowingEncoder.encode", fail)
    for count in range(17):
        assert tokenizer.tokenize(texts[:count]).lists() == expected[:count]
    assert [tokenizer.tokenize_one(text).tolist() for text in texts] == expected
    with pytest.raises(ArtifactError, match="fails on texts that are valid"):
        tokenizer.tokenize(texts)


@pytest.mark.parametrize(
    "text", ["\ud800", "the \udfff value", "value\ud83d", "a" * 3000 + "\ud800"], ids=ascii
)
@pytest.mark.parametrize("kind", ["wordpiece", "unigram", "bpe"])
def test_lone_surrogates(kind: tiny_models.Kind, text: str, tmp_path: Path) -> None:
    artifact = export_model(
        tiny_models.save(tmp_path / "model", kind), tmp_path / "artifact", max_length=None
    )
    embedder = StaticEmbedder.load(artifact, tokenizer="compiled")
    position = next(place for place, character in enumerate(text) if 0xD800 <= ord(character) < 0xE000)
    for _ in range(2):
        embedder.encode("the value")
        for texts, index in ((text, 0), ([text], 0), (["a", text], 1), (["a"] * 30 + [text], 30)):
            message = rf"^texts\[{index}\] holds the lone surrogate U\+D.* at character {position}, which is"
            with pytest.raises(InputError, match=message):
                embedder.encode(texts)
