"""BPE in a graph, against the model of tokenizers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from random import Random
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from flat_texts import feed_words, id_outputs, read_ids, run_all, sessions, word_inputs
from portvec_export._onnx.builder import Graph
from portvec_export._text_input.arrays.flat import OPSET
from portvec_export._text_input.errors import NotExpressible
from portvec_export._text_input.models.model import add_model
from random_models import byte_level_bpe, numbered, random_bpe
from random_texts import MARK

Json = dict[str, Any]
Text = list["str | int"]

BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def bpe(pieces: Iterable[str], merges: Iterable[tuple[str, str]] = (), **options: Any) -> Json:
    """Return a model with these pieces and what merges give, unless its options say something else."""
    prefix = options.get("continuing_subword_prefix") or ""
    merges = list(merges)
    made = [left + right.removeprefix(prefix) for left, right in merges]
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": numbered(list(dict.fromkeys([*pieces, *made]))),
        "merges": [list(each) for each in merges],
        **options,
    }


def load(model: Json) -> Tokenizer:
    return Tokenizer.from_str(json.dumps({"model": model, "added_tokens": []}))


def build(tokenizer: Tokenizer) -> Graph:
    graph = Graph(OPSET)
    return id_outputs(graph, add_model(graph, word_inputs(graph), tokenizer))


def check(model: Json, *batches: list[Text]) -> None:
    """Check the ids of batches of texts, which are words and the ids of added tokens."""
    tokenizer = load(model)
    for batch, got in zip(
        batches, run_all(build(tokenizer), [feed_words(batch) for batch in batches]), strict=True
    ):
        assert read_ids(got, len(batch)) == [expected(tokenizer, text) for text in batch]


def expected(tokenizer: Tokenizer, text: Text) -> list[int]:
    ids: list[int] = []
    for word in text:
        ids += [word] if isinstance(word, int) else [token.id for token in tokenizer.model.tokenize(word)]
    return ids


def split(text: str) -> Text:
    return [int(word) if word.isdecimal() else word for word in text.split()]


def test_merges_of_the_lowest_rank_come_first() -> None:
    model = bpe("abcd", [("b", "c"), ("a", "b"), ("a", "bc"), ("c", "d"), ("bc", "d")])
    check(model, [split("abcd abc bcd ab cd abab dcba")], [split("cd")], [[], split("a 7 bcd"), []], [[]])


def test_overlapping_pairs_are_merged_from_the_left() -> None:
    model = bpe("ab", [("a", "a"), ("aa", "a"), ("aa", "b"), ("b", "b"), ("aaa", "aa"), ("aa", "aa")])
    words: Text = ["a" * size + "b" * (size % 4) + "a" * (size % 3) for size in range(1, 40)]
    check(model, [words], [words[:1], words[3:9]], [[word * 3] for word in words if isinstance(word, str)])


def test_a_token_may_be_made_after_it_is_used() -> None:
    # The merge of "ab" and "a" is before that which makes "ab", so the first pair alone may be merged.
    pairs = [("ab", "a"), ("a", "b"), ("b", "ab"), ("b", "a"), ("ba", "b")]
    model = bpe("abc", pairs, vocab=numbered(["a", "b", "c", "ab", "ba", "aba", "bab"]))
    random = Random(0)
    words: Text = ["".join(random.choices("abc", [9, 9, 1], k=size)) for size in range(1, 50)]
    assert "merges.in_order" in build(load(model)).tensors
    check(model, [words], [["ababab"]], [["ababab"], ["babab"]])


@pytest.mark.parametrize("fuse_unk", [False, True])
@pytest.mark.parametrize("unk_token", [None, "<unk>"])
def test_unknown_characters(unk_token: str | None, fuse_unk: bool) -> None:
    pieces = ["<unk>", *"ab", "<unk>b"]
    model = bpe(pieces, [("a", "b"), ("<unk>", "b")], unk_token=unk_token, fuse_unk=fuse_unk)
    check(
        model,
        [split("ab axxb xx axbxxxab yxx xab <unk>b")],
        [["x"], ["xx", "xx"], []],
        [["\0"], ["\U0010ffff"]],
    )


@pytest.mark.parametrize("ignore_merges", [False, True])
def test_words_that_are_pieces(ignore_merges: bool) -> None:
    # No merge makes "abc", and "ab" is no whole piece of "abab".
    model = bpe([*"abc", "abc", "abab"], [("a", "b"), ("b", "c")], ignore_merges=ignore_merges)
    check(model, [split("abc abcabc ab abab ababc bc bcab")], [["abc"]])


@pytest.mark.parametrize("prefix", [None, "##"])
@pytest.mark.parametrize("suffix", [None, "</w>"])
def test_prefix_and_suffix(prefix: str | None, suffix: str | None) -> None:
    first, last = prefix or "", suffix or ""
    pieces = [f"{p}{c}{s}" for c in "abc" for p in {"", first} for s in {"", last}]
    merges = [("a", f"{first}b"), (f"{first}b", f"{first}c{last}"), ("ab", f"{first}c{last}")]
    model = bpe(
        pieces,
        merges,
        continuing_subword_prefix=prefix,
        end_of_word_suffix=suffix,
        unk_token="a",
    )
    check(model, [split("abc abcabc ab a b c cc bc xa ax xax")], [["a"]], [["ab"], ["c"], []])


def test_bytes_of_unknown_characters() -> None:
    merges = [("<0xC3>", "<0xA9>"), ("a", "<0xC3>"), (MARK, "a")]
    model = bpe([*BYTES, "<unk>", MARK, *"ab"], merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    words: Text = ["aéb", "é", "éé", "日本a", "\U0001f600b", "\0", "\x7f\x80\u07ff\u0800\uffff\U00010000"]
    check(model, [words], [["ab"]], [[], ["é", 3, "xa"], ["ab"]])


def test_words_are_cut_before_marks() -> None:
    merges = [(MARK, MARK), (MARK, "a"), (MARK, "b"), ("a", "b"), (f"{MARK}a", "b"), (f"{MARK}{MARK}", "a")]
    model = bpe(["<unk>", MARK, *"abc"], merges, unk_token="<unk>")
    random = Random(0)
    words: Text = ["".join(random.choices([MARK, *"abc"], k=random.randint(1, 30))) for _ in range(200)]
    check(model, [words], [[word] for word in words], [[f"{MARK}{MARK}", "a", f"a{MARK}"]])


@pytest.mark.parametrize("count", [1, 20])
def test_words_are_not_cut_where_a_mark_is_merged_with_what_is_before_it(count: int) -> None:
    letters = "ab" + "".join(map(chr, range(ord("c"), ord("c") + count)))
    merges = [*((letter, MARK) for letter in letters[1:]), (MARK, "a"), (f"b{MARK}", "a")]
    model = bpe([MARK, *letters], merges)
    random = Random(0)
    words: Text = [
        "".join(random.choices(f"{MARK}{MARK}{letters}", k=random.randint(1, 30))) for _ in range(99)
    ]
    check(model, [words], [[f"b{MARK}a{MARK}a"]])


def test_words_are_not_cut_behind_a_byte_that_is_merged_with_a_mark() -> None:
    model = bpe([*BYTES, MARK, "a"], [("<0xA9>", MARK), (MARK, "a")], byte_fallback=True)
    check(model, [[f"é{MARK}a{MARK}a", f"{MARK}é{MARK}"]])


@pytest.mark.parametrize("unk_token", [None, "<unk>"])
def test_words_are_not_cut_behind_an_unknown_character_that_a_mark_may_be_merged_across(
    unk_token: str | None,
) -> None:
    merges = [(MARK, MARK), ("<unk>", MARK), (MARK, "a"), (f"<unk>{MARK}", "a")]
    model = bpe(["<unk>", MARK, "a"], merges, unk_token=unk_token)
    check(model, [[f"{MARK}x{MARK}a{MARK}xx{MARK}a", f"x{MARK}"]])


def test_words_are_not_cut_before_an_unknown_mark() -> None:
    model = bpe(["<unk>", *"ab"], [("a", "b")], unk_token="<unk>", fuse_unk=True)
    check(model, [[f"x{MARK}ab", f"{MARK}x{MARK}"]])


def test_a_bpe_without_merges() -> None:
    check(bpe("abc"), [split("abc a xx xax")], [["x"]])


def test_long_words() -> None:
    random = Random(0)
    letters = "abcdefgh"
    pairs = [(a, b) for a in letters for b in letters]
    random.shuffle(pairs)
    model = bpe(letters, pairs[:40])
    text = "".join(random.choices(letters, k=5000))
    check(model, [[text, "a" * 3000, "ab"]], [["ab"]])


@pytest.mark.parametrize("start", range(0, 40, 10))
def test_random_models(start: int) -> None:
    for seed in range(start, start + 10):
        random = Random(seed)
        model = random_bpe(random, MARK) if seed % 3 else byte_level_bpe(random)
        if seed % 2:
            _add_merges(random, model)
        pieces = [*model["vocab"], MARK, "é", "日", "\0", "\U0001f600", "aa", "\u0120"]

        def text(random: Random = random, pieces: list[str] = pieces) -> Text:
            words: Text = [random.randrange(500)] * random.randrange(2)
            words += ["".join(random.choices(pieces, k=random.choice([1, 1, 2, 5, 20]))) for _ in range(4)]
            return random.sample(words, k=random.randrange(len(words) + 1))

        if model["byte_fallback"] and (model["continuing_subword_prefix"] or model["end_of_word_suffix"]):
            model["byte_fallback"] = False
        check(model, *([text() for _ in range(size)] for size in (1, 50, 3, 80)))


def _add_merges(random: Random, model: Json) -> None:
    """Let merges make what others make, and shuffle them, so that tokens are made after they are used."""
    pieces, prefix = model["vocab"], model.get("continuing_subword_prefix") or ""
    known = {tuple(pair) for pair in model["merges"]}
    for piece in random.choices(list(pieces), k=100):
        for at in range(1, len(piece)):
            pair = (piece[:at], prefix + piece[at:])
            if pair[0] in pieces and pair[1] in pieces:
                known.add(pair)
    model["merges"] = [list(pair) for pair in sorted(known)]
    random.shuffle(model["merges"])


def test_every_character() -> None:
    model = bpe([*BYTES, *map(chr, range(0x20, 0x3000, 7))], byte_fallback=True)
    tokenizer = load(model)
    session = next(sessions(build(tokenizer)))
    every = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    spelled = np.array([tokenizer.token_to_id(name) for name in BYTES])
    want: list[int] = []
    for character in every:
        known = tokenizer.token_to_id(character)
        want += spelled[list(character.encode())].tolist() if known is None else [known]
    got = session.run(None, feed_words([["".join(every)]]))
    assert read_ids(got, 1) == [want]
    sample = every[:0x900:3] + every[0xD7F0::997]
    alone = session.run(None, feed_words([[character] for character in sample]))
    assert read_ids(alone, len(sample)) == [expected(tokenizer, [character]) for character in sample]


REFUSED = {
    "dropout": bpe("ab", dropout=0.5),
    "byte_fallback, and a byte has no token": bpe([*BYTES[1:], "a"], byte_fallback=True),
    "byte_fallback beside a prefix": bpe([*BYTES, "a"], byte_fallback=True, continuing_subword_prefix="##"),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_refused(name: str) -> None:
    with pytest.raises(NotExpressible, match=name):
        build(load(REFUSED[name]))
