"""The cache of words: the ids of `tokenizers`, whatever is cut, looked up, learnt or tokenized whole."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers
from tokenizers.trainers import WordPieceTrainer

import tiny_models
from counting_encoder import CountingEncoder
from matrix import unigram_sentencepiece
from portvec._tokenization.cutting import ALONE, ByteLevelWords, CutAtPunctuation, MetaspaceWords, SpacedWords
from portvec._tokenization.learning import LibraryLearner
from portvec._tokenization.library import describe_parts
from portvec._tokenization.proven_cuts import find_cutting_rules
from portvec._tokenization.word_cache import WordEncoder
from portvec._vocabulary.characters import SEPARATOR
from portvec._vocabulary.word_table import DEPENDS, IDS, LONGEST, SLOTS, WordTable
from project import FUZZ
from random_tokenizers import random_tokenizer

RULES = {"wordpiece": CutAtPunctuation, "unigram": MetaspaceWords, "bpe": ByteLevelWords}


class Case:
    """A tokenizer, the encoder that caches its words, and the right ids."""

    def __init__(self, tokenizer: Tokenizer, folder: Path, **options: float) -> None:
        self.path = folder / "tokenizer.json"
        tokenizer.save(str(self.path))
        self.plain = CountingEncoder(self.path)
        self._tokenizer = Tokenizer.from_file(str(self.path))
        self.tables: list[WordTable] = []
        rules = find_cutting_rules(describe_parts(self.plain.tokenizer))
        assert rules is not None
        self.rules = rules
        self.ids = IDS
        self.learner = LibraryLearner(self.plain, rules)
        self.encoder = WordEncoder(
            "",
            self.learner,
            rules,
            make_table=self._make_table,
            min_bytes=int(options.get("min_bytes", 0)),
            max_unknown=options.get("max_unknown", 2.0),
        )

    def _make_table(self) -> WordTable:
        self.tables.append(WordTable(SLOTS, self.ids))
        return self.tables[-1]

    def expected(self, texts: list[str]) -> list[list[int]]:
        return [self._tokenizer.encode(text, add_special_tokens=False).ids for text in texts]

    def seen(self, texts: list[str]) -> list[str]:
        """Encode texts, check their ids, and return what was tokenized for it."""
        self.plain.seen.clear()
        assert self.encoder.encode(texts).lists() == self.expected(texts)
        return list(self.plain.seen)


@pytest.fixture(scope="module", params=RULES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(tiny_models.tokenizer(request.param), tmp_path_factory.mktemp("case"))


@pytest.fixture
def wordpiece(tmp_path: Path) -> Case:
    return Case(tiny_models.tokenizer("wordpiece"), tmp_path)


@pytest.mark.parametrize("kind", RULES)
def test_rules(kind: tiny_models.Kind) -> None:
    rules = find_cutting_rules(describe_parts(tiny_models.tokenizer(kind)))
    assert rules is not None
    assert type(rules) is RULES[kind]
    assert {word: rules.judge(word) for word in ["ab", " ab"]} == {
        "wordpiece": {"ab": ALONE, " ab": ALONE},
        "unigram": {"ab": ALONE, " ab": 3},
        "bpe": {"ab": ALONE, " ab": 3},
    }[kind]


TEXTS = st.lists(
    st.lists(
        st.sampled_from(
            [
                *"abAé日\u0301\u2581\u00a0\u3000\x00\x01\x1f\x85",
                " ",
                " ",
                "  ",
                "\t",
                "\n",
                "\r\n",
                ",",
                "!",
                "'s",
                "return",
                "value",
                "x" * 63,
                "x" * 64,
                "x" * 65,
                "[UNK]",
                "[",
                "<s>",
                "<|endoftext|>",
                SEPARATOR,
            ]
        ),
        max_size=12,
    ).map("".join),
    max_size=6,
)


@settings(max_examples=150 * FUZZ, deadline=None)
@given(TEXTS)
@example([])
@example([""])
@example(["", "", "a", ""])
@example(["a [UNK] b", "a b", "c [UNK]", "c"])
@example(["a <|endoftext|> b", "a b", "<s>", " c"])
@example(["a  b", "a b", "a ", " a", "  a"])
@example(["a b  ", "b", "", "a  b", " b"])
def test_ids_of_any_texts(case: Case, texts: list[str]) -> None:
    for _ in range(2):  # cold and warm
        assert case.encoder.encode(texts).lists() == case.expected(texts)


def test_a_word_is_tokenized_once(case: Case) -> None:
    first = case.seen(["zyx wvu zyx", "zyx", "wvu zyx"])
    assert {word.strip() for word in first} == {"zyx", "wvu"}
    assert len(first) == len(set(first)) <= 4  # with and without a space, where that makes a difference
    assert case.seen(["zyx wvu zyx", "zyx", "wvu zyx"]) == []
    assert [word.strip() for word in case.seen(["zyx wvu tsr", "zyx"])] == ["tsr"]


def test_words_beside_punctuation(wordpiece: Case) -> None:
    wordpiece.seen([""])
    assert wordpiece.seen(["zyx,wvu.(zyx) ,zyx;;\tWVU\nzyx!"]) == ["zyx", "wvu"]
    assert wordpiece.seen([",;.!" * 20, "Zyx", "a", "return value"]) == []


def test_text_that_cannot_be_cut_is_tokenized_whole(wordpiece: Case) -> None:
    wordpiece.seen(["zyx wvu"])
    assert wordpiece.seen(["zyx [UNK] wvu", "zyx wvu", f"zyx {SEPARATOR}"]) == [
        "zyx [UNK] wvu",
        f"zyx {SEPARATOR}",
    ]


def test_words_do_not_become_added_tokens_when_they_are_folded(tmp_path: Path) -> None:
    tokenizer = tiny_models.tokenizer("wordpiece")
    tokenizer.add_tokens([AddedToken(content, normalized=False) for content in ("covid", "a tab")])
    case = Case(tokenizer, tmp_path)
    texts = ["COVID is not covid", "COVID", "a\ttab is no a tab", "the value of Covid"]
    assert case.encoder.encode(texts).lists() == case.expected(texts)


def test_words_with_the_id_of_the_separator(tmp_path: Path) -> None:
    state = json.loads(tiny_models.tokenizer("wordpiece").to_str())
    vocabulary = state["model"]["vocab"]
    vocabulary["the"] = vocabulary["!"]
    case = Case(Tokenizer.from_str(json.dumps(state)), tmp_path)
    texts = ["the value", "new words, and the old ones!", "theory the"]
    for _ in range(2):
        assert case.encoder.encode(texts).lists() == case.expected(texts)


def test_short_texts_are_tokenized_whole(tmp_path: Path) -> None:
    case = Case(tiny_models.tokenizer("wordpiece"), tmp_path, min_bytes=20)
    assert case.seen(["zyx wvu", "é" * 5]) == ["zyx wvu", "é" * 5]  # 7 + 1 + 10 bytes
    assert case.tables == []
    assert "a" * 18 in case.seen(["a" * 18, "a"])
    assert len(case.tables) == 1


def test_texts_of_unknown_words_are_tokenized_whole(tmp_path: Path) -> None:
    case = Case(tiny_models.tokenizer("wordpiece"), tmp_path, max_unknown=0.5)
    texts = ["zyxwvut srqponm " * 40]
    assert set(case.seen(texts)) >= {"zyxwvut", "srqponm"}  # each counts once
    texts = [" ".join(f"x{number:x}y" for number in range(1000, 1400))]
    assert case.seen(texts) == texts
    assert case.seen(texts) == texts  # nothing was learnt


def test_a_full_table_is_replaced(wordpiece: Case) -> None:
    known = len(wordpiece.learner.list_known_words()[0])
    assert known > 100
    wordpiece.ids = known + 200
    for start in range(0, 1200, 30):
        wordpiece.seen([f"x{number}z y{number}q" for number in range(start, start + 30)])
    assert 3 < len(wordpiece.tables) < 60
    last = [f"x{number}z" for number in range(5)]
    wordpiece.seen(last)
    wordpiece.seen(last)
    assert wordpiece.seen(last) == []


def test_a_thread_with_a_full_table_leaves_the_next_one(wordpiece: Case) -> None:
    wordpiece.ids = len(wordpiece.learner.list_known_words()[0]) + 20
    wordpiece.seen(["a few words"])
    full = wordpiece.tables[0]
    many = [b"x%dz" % number for number in range(40)]
    for _ in range(2):  # another thread may have begun with the table before it was full
        wordpiece.encoder._learn(full, many)
        wordpiece.seen(["zyx"])
    assert wordpiece.seen(["zyx"]) == []
    assert len(wordpiece.tables) == 2


def test_texts_with_any_of_many_added_tokens(tmp_path: Path) -> None:
    tokenizer = tiny_models.tokenizer("wordpiece")
    contents = [f"<extra_id_{number}>" for number in range(100)] + [
        "< a >",
        "(",
        "x.y",
        "я",
        "(яб)",
        "▁",
        "a b",
    ]
    tokenizer.add_tokens([AddedToken(content, normalized=False) for content in contents])
    case = Case(tokenizer, tmp_path)
    texts = [f"before {content} after" for content in contents]
    texts += ["<extra_id_> < a > b", "< a  >", "x y x,y xzy", "a  b a\tb", "б в ю", "<b> of ) what", "(б) (я"]
    for _ in range(2):
        assert case.encoder.encode(texts).lists() == case.expected(texts)


def test_known_words_have_the_ids_that_they_are_tokenized_to(wordpiece: Case) -> None:
    words, tokens = wordpiece.learner.list_known_words()
    assert {b"a", b"return", b"7", b"!", b"["} <= set(words)
    assert all(len(word) == 1 or (word.isalnum() and word == word.lower()) for word in words)
    assert wordpiece.expected([word.decode() for word in words]) == tokens.lists()


def cased(clean_text: bool = True, longest: int = 100, letters: str = "aBc!,") -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=longest))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, clean_text=clean_text)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = WordPieceTrainer(special_tokens=["[UNK]"], initial_alphabet=list(letters), show_progress=False)
    tokenizer.train_from_iterator(["Bc" * 40 + " a" + "," + "c" * 70], trainer)
    tokenizer.model.max_input_chars_per_word = longest
    return tokenizer


def known_words(tokenizer: Tokenizer, folder: Path) -> dict[bytes, list[int]]:
    words, tokens = Case(tokenizer, folder).learner.list_known_words()
    return dict(zip(words, tokens.lists(), strict=True))


def test_upper_case_words_are_known_unless_they_are_lower_cased(tmp_path: Path) -> None:
    tokenizer = cased()
    known = known_words(tokenizer, tmp_path)
    assert {b"a", b"B", b"c"} <= known.keys()
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    assert known_words(tokenizer, tmp_path) == {word: known[word] for word in known if word == word.lower()}


def test_words_too_long_are_not_known(tmp_path: Path) -> None:
    tokenizer = cased()
    assert "c" * 70 in tokenizer.get_vocab()
    assert 32 < max(map(len, known_words(tokenizer, tmp_path))) <= LONGEST
    tokenizer.model.max_input_chars_per_word = 5  # WordPiece calls longer words unknown
    assert max(map(len, known_words(tokenizer, tmp_path))) <= 5
    case = Case(tokenizer, tmp_path)
    for _ in range(2):
        case.seen(["ccccc cccccc BcBcBc", "c" * 70])


def test_case_is_kept_for_a_cased_tokenizer() -> None:
    rules = find_cutting_rules(describe_parts(cased()))
    assert rules is not None
    assert rules.fold is not None
    assert rules.fold[ord("B")] == ord("B")


def test_ids_of_a_cased_tokenizer(tmp_path: Path) -> None:
    for letters in ("aBc!,", "aBc,"):  # without a separator, words are joined in another way
        case = Case(cased(letters=letters), tmp_path)
        assert (b"!" in case.learner.list_known_words()[0]) == ("!" in letters)
        for _ in range(2):
            case.seen(["a B,c!a", "BBB b", "!", "", "a,,B\ta\nB\x00B\x01B", ",!,", "B" * 70, "cB " * 3])


class TestSpacedWords:
    """Tokenizers that drop white space, and split what is between it in whatever way."""

    @pytest.mark.parametrize(
        ("steps", "normalizer", "found"),
        [
            ([pre_tokenizers.Whitespace()], normalizers.Lowercase(), True),
            ([pre_tokenizers.WhitespaceSplit()], normalizers.Strip(left=False), True),
            ([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()], normalizers.NFKC(), True),
            ([pre_tokenizers.Whitespace(), pre_tokenizers.Digits()], normalizers.BertNormalizer(), True),
            ([pre_tokenizers.BertPreTokenizer()], normalizers.BertNormalizer(clean_text=False), True),
            ([pre_tokenizers.BertPreTokenizer()], None, True),
            ([pre_tokenizers.Punctuation()], None, False),
            ([pre_tokenizers.Punctuation(), pre_tokenizers.WhitespaceSplit()], None, False),
            ([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.UnicodeScripts()], None, False),
            ([pre_tokenizers.WhitespaceSplit()], normalizers.Prepend("x"), False),
        ],
    )
    def test_components(
        self,
        steps: list[pre_tokenizers.PreTokenizer],
        normalizer: normalizers.Normalizer | None,
        found: bool,
        tmp_path: Path,
    ) -> None:
        tokenizer = cased()
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
        tokenizer.normalizer = normalizer
        rules = find_cutting_rules(describe_parts(tokenizer))
        assert (type(rules) is SpacedWords) == found
        if found:
            case = Case(tokenizer, tmp_path)
            for _ in range(2):
                case.seen([" a  B,c!a", "a\u3000 b\u0301c \u0301a", "1a2", "", " ", "a \x00b", "c\n \x85a  "])

    def test_a_space_that_becomes_a_letter_with_what_follows_joins_words(self, tmp_path: Path) -> None:
        tokenizer = Tokenizer.from_str(json.dumps(random_tokenizer(Random("2 388"))))
        assert tokenizer.normalizer.normalize_str("a \u0301") == "ar"
        case = Case(tokenizer, tmp_path)
        assert type(case.rules) is SpacedWords
        for _ in range(2):
            case.seen(["☯a \u0301 b", "the \U000a9118a \u0301", " \u0301"])

    def test_letters_that_join_with_a_space_prevent_cutting(self) -> None:
        tokenizer = unigram_sentencepiece()
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        rules = find_cutting_rules(describe_parts(tokenizer))
        assert rules is not None
        assert {word: rules.judge(word) for word in [" a", " a\u0600"]} == {" a": ALONE, " a\u0600": DEPENDS}


class TestMetaspace:
    @pytest.mark.parametrize(
        ("options", "found"),
        [
            ({"prepend_scheme": "always"}, True),
            ({"prepend_scheme": "never"}, True),
            ({"prepend_scheme": "first"}, True),
            ({"split": False}, False),
        ],
    )
    def test_pre_tokenizer(self, options: dict[str, Any], found: bool) -> None:
        tokenizer = tiny_models.tokenizer("unigram")
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(**options)
        assert (find_cutting_rules(describe_parts(tokenizer)) is not None) == found

    @pytest.mark.parametrize(
        ("steps", "found"),
        [
            ([normalizers.NFKC(), normalizers.Lowercase()], True),
            ([normalizers.NFKC(), normalizers.Replace("a", "b")], False),
            ([normalizers.Replace(Regex(" {2,}"), " ")], True),
            ([normalizers.Replace(Regex(" {2,}"), "\u2581")], True),
            ([normalizers.Replace(Regex(" {2,}"), "x")], False),
            ([normalizers.Strip(left=False, right=True)], True),
            ([normalizers.Strip(left=True, right=False)], False),
            ([normalizers.Prepend("x")], False),
            ([], True),
        ],
    )
    def test_normalizers(self, steps: list[normalizers.Normalizer], found: bool) -> None:
        tokenizer = tiny_models.tokenizer("unigram")
        tokenizer.normalizer = normalizers.Sequence(steps)
        assert (find_cutting_rules(describe_parts(tokenizer)) is not None) == found

    def test_stripping_makes_spaces_matter(self, tmp_path: Path) -> None:
        tokenizer = tiny_models.tokenizer("unigram")
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.NFKC(), normalizers.Strip(left=False, right=True)]
        )
        case = Case(tokenizer, tmp_path)
        for _ in range(2):
            case.seen(["a \u3000b", "a \u3000", "a\u3000 b", "\u3000a", "b\u3000", "b", " b \u00a0", "a b"])

    def test_standing(self) -> None:
        rules = find_cutting_rules(describe_parts(tiny_models.tokenizer("unigram")))
        assert rules is not None
        spelled = {
            word: rules.judge(word)
            for word in [
                " a",
                " ab日",
                "a",
                " ",
                " a b",
                " a\nb",
                " \na",
                " \x1ea",
                " \u3000a",
                " \u00b4",
                " a\u2581",
            ]
        }
        assert {word: count for word, count in spelled.items() if count} == {" a": 2, " ab日": 4}
        assert DEPENDS not in spelled.values()

    @pytest.mark.parametrize(
        ("steps", "dependent"),
        [
            ([], set()),
            ([normalizers.NFKC()], set()),
            ([normalizers.Strip(left=False, right=True)], {" ", " \n", "a\x85", " a\u3000", "\u3000"}),
            ([normalizers.Replace(Regex(" {2,}"), " ")], {" "}),
            ([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")], {" ", " a\u3000", "\u3000"}),
            ([normalizers.StripAccents()], {"\u0301"}),
            ([normalizers.Lowercase(), normalizers.NFD()], set()),
        ],
    )
    def test_words_whose_ends_are_changed_depend_on_their_neighbours(
        self, steps: list[normalizers.Normalizer], dependent: set[str]
    ) -> None:
        tokenizer = tiny_models.tokenizer("unigram")
        tokenizer.normalizer = normalizers.Sequence(steps)
        rules = find_cutting_rules(describe_parts(tokenizer))
        assert rules is not None
        words = ["a", " a", "A\u0301", "\u0301", " ", " \n", "a\x85", " a\u3000", "\u3000"]
        assert {word for word in words if rules.judge(word) == DEPENDS} == dependent

    def test_white_space_at_the_end_of_a_text(self, tmp_path: Path) -> None:
        """As transformers writes the normalizer of a SentencePiece model."""
        tokenizer = unigram_sentencepiece()
        strip, collapse = (
            normalizers.Strip(left=False, right=True),
            normalizers.Replace(Regex(" {2,}"), "\u2581"),
        )
        precompiled = tokenizer.normalizer[0]
        for steps in ([precompiled, strip, collapse], [strip, collapse]):
            tokenizer.normalizer = normalizers.Sequence(steps)
            case = Case(tokenizer, tmp_path)
            spaces = [
                "",
                " ",
                "  ",
                *(f"{space}{end}" for space in ("", " ") for end in "\x85\n\t\u3000\u00a0\x1c"),
            ]
            for _ in range(2):
                case.seen([f"the value{end}" for end in spaces])

    def test_a_text_does_not_change_the_words_of_another(self, tmp_path: Path) -> None:
        """A word with two pieces and one with none would shift all words between them."""
        tokenizer = tiny_models.tokenizer("unigram")
        tokenizer.normalizer = normalizers.NFKD()
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
        )
        case = Case(tokenizer, tmp_path)
        case.seen(["b \x1e\na", "an innocent sentence", "b \n"])
        case.seen(["the innocent value"])


class TestByteLevel:
    @pytest.mark.parametrize(
        ("pre_tokenizer", "normalizer", "found"),
        [
            (pre_tokenizers.ByteLevel(), None, True),
            (pre_tokenizers.ByteLevel(), normalizers.NFC(), True),
            (pre_tokenizers.ByteLevel(use_regex=False), None, False),
            (pre_tokenizers.ByteLevel(), normalizers.NFKC(), False),
        ],
    )
    def test_components(
        self,
        pre_tokenizer: pre_tokenizers.PreTokenizer,
        normalizer: normalizers.Normalizer | None,
        found: bool,
    ) -> None:
        tokenizer = tiny_models.tokenizer("bpe")
        tokenizer.pre_tokenizer = pre_tokenizer
        if normalizer is not None:
            tokenizer.normalizer = normalizer
        assert (find_cutting_rules(describe_parts(tokenizer)) is not None) == found

    def test_words_that_end_in_white_space_depend_on_what_follows(self) -> None:
        rules = find_cutting_rules(describe_parts(tiny_models.tokenizer("bpe")))
        assert rules is not None
        assert rules.judge("a\n") == DEPENDS
        assert rules.judge(" a\u00a0") == DEPENDS
        assert rules.judge(" a b") == ALONE

    def test_added_tokens_with_a_space_are_not_joined(self) -> None:
        tokenizer = tiny_models.tokenizer("bpe")
        rules = find_cutting_rules(describe_parts(tokenizer))
        assert rules is not None
        assert rules.mark == "\u0120"
        tokenizer.add_special_tokens(["<a b>"])
        rules = find_cutting_rules(describe_parts(tokenizer))
        assert rules is not None
        assert rules.mark is None
        assert "<a b>" in rules.uncuttable


def test_added_tokens_in_normalized_text_prevent_cutting() -> None:
    tokenizer = tiny_models.tokenizer("unigram")
    tokenizer.add_tokens(["naïve"])
    assert find_cutting_rules(describe_parts(tokenizer)) is None


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("wordpiece", ["a", "b", ",", "c", "d", "e", ".", ".", "é"]),
        ("bpe", ["a", " b,c", "d", " e..é", " "]),
    ],
)
def test_words(kind: tiny_models.Kind, words: list[str]) -> None:
    rules = find_cutting_rules(describe_parts(tiny_models.tokenizer(kind)))
    assert rules is not None
    texts = ["a b,c", "", "d e..é "]
    encoded = [text.encode() for text in texts]
    joined = b"\n".join(encoded)
    bounds = np.cumsum([0, *(len(text) + 1 for text in encoded)])
    starts, lengths = rules.cut((joined.translate(rules.fold) if rules.fold else joined) + b" " * 64, bounds)
    got = [joined[start : start + length].decode() for start, length in zip(starts, lengths, strict=True)]
    assert got == words
