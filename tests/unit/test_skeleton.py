"""The skeleton of a tokenizer: pre-tokens and added tokens as the tokenizer itself finds them."""

from __future__ import annotations

import json
import subprocess
import sys
from random import Random
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, normalizers, pre_tokenizers

import tiny_models
from matrix import added_tokens, bpe_sentencepiece, unigram_sentencepiece, unigram_xlmr, wordpiece_cased
from portvec._tokenization.skeleton import Skeleton
from portvec._vocabulary.characters import SEPARATOR
from portvec_export._vocabulary.added_tokens import find_ambiguity
from random_texts import random_texts
from word_checks import check_skeleton

TOKENIZERS = {
    "wordpiece": lambda: tiny_models.tokenizer("wordpiece"),
    "unigram": lambda: tiny_models.tokenizer("unigram"),
    "bpe": lambda: tiny_models.tokenizer("bpe"),
    "wordlevel": lambda: tiny_models.tokenizer("wordlevel"),
    "cased": wordpiece_cased,
    "added tokens": added_tokens,
    "sentencepiece": unigram_sentencepiece,
    "xlmr": unigram_xlmr,
    "bpe, sentencepiece": bpe_sentencepiece,
}


def facts_of(tokenizer: Tokenizer) -> Any:
    return json.loads(tokenizer.to_str())


def items_of(tokenizer: Tokenizer, text: str) -> list[str | int]:
    words, items, _ = Skeleton(facts_of(tokenizer)).split([text])
    return [~item if item < 0 else words[item] for item in items.tolist()]


@pytest.mark.parametrize("name", TOKENIZERS)
def test_ids(name: str) -> None:
    tokenizer = TOKENIZERS[name]()
    facts = facts_of(tokenizer)
    texts = random_texts(Random(name), [token["content"] for token in facts["added_tokens"]], 300)
    check_skeleton(tokenizer, facts, ["", *texts])
    check_skeleton(tokenizer, facts, texts, parallel=True)


@pytest.mark.parametrize("kind", ["wordpiece", "unigram", "bpe"])
@pytest.mark.parametrize("flag", ["single_word", "lstrip", "rstrip", "normalized", "special", "none"])
def test_flags_of_added_tokens(kind: tiny_models.Kind, flag: str) -> None:
    tokenizer = tiny_models.tokenizer(kind)
    options = {name: name == flag for name in ("single_word", "lstrip", "rstrip", "normalized")}
    contents = ["ab", "Ab", "<0x41>", "é", "a b", "the"]  # the last is in the vocabulary, with another id
    tokenizer.add_tokens([AddedToken(content, special=flag == "special", **options) for content in contents])
    pieces = [*contents, " ", "  ", "\t", "x", "E\u0301", "<0x4", "1>", "A", "b", SEPARATOR]
    random = Random(flag)
    texts = ["".join(random.choices(pieces, k=random.randint(1, 7))) for _ in range(300)]
    facts = facts_of(tokenizer)
    if find_ambiguity(facts) is not None:
        facts = {
            **facts,
            "added_tokens": [token for token in facts["added_tokens"] if token["content"] != "Ab"],
        }
        tokenizer = Tokenizer.from_str(json.dumps(facts))
        facts = facts_of(tokenizer)
    check_skeleton(tokenizer, facts, texts)


def test_ids_with_gaps() -> None:
    facts = facts_of(tiny_models.tokenizer("wordpiece"))
    facts["model"]["vocab"]["gap"] = 10_000
    facts["model"]["vocab"]["<a>"] = 20_000
    tokenizer = Tokenizer.from_str(json.dumps(facts))
    tokenizer.add_tokens([AddedToken("<a>", normalized=False), AddedToken("<b>", normalized=False)])
    after = tokenizer.token_to_id("<b>")
    assert items_of(tokenizer, "x<b><a>y") == ["x", after, 20_000, "y"]
    check_skeleton(tokenizer, facts_of(tokenizer), ["x<b><a>y", "gap", "<a>", "", "<b> <b>"])


def test_tokens_that_spell_bytes_or_the_separator() -> None:
    tokenizer = tiny_models.tokenizer("bpe")
    contents = [*(f"<0x{byte:02X}>" for byte in range(256)), f"a{SEPARATOR}b", SEPARATOR]
    tokenizer.add_tokens([AddedToken(content, normalized=False) for content in contents])
    texts = ["A<0x41>A", f"a{SEPARATOR}b", "xa", "b", f"a{SEPARATOR}", "<0x41", "", SEPARATOR]
    check_skeleton(tokenizer, facts_of(tokenizer), texts)


def test_the_first_word_may_get_a_mark_of_its_own() -> None:
    tokenizer = unigram_sentencepiece()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.add_tokens([AddedToken("<a>", normalized=False)])
    assert items_of(tokenizer, "a<a>b")[2] == "b"
    check_skeleton(tokenizer, facts_of(tokenizer), ["a", "b", "a<a>b", "\u0001a", " a", "<a>b", "a b"])


def test_normalize() -> None:
    skeleton = Skeleton(facts_of(tiny_models.tokenizer("wordpiece")))
    assert skeleton.normalize("\u00c9 [UNK]\u4e00") == "e [unk] \u4e00 "
    assert (
        Skeleton({"normalizer": None, "pre_tokenizer": None, "added_tokens": []}).normalize("\u00c9")
        == "\u00c9"
    )


def test_no_texts() -> None:
    words, items, offsets = Skeleton(facts_of(tiny_models.tokenizer("unigram"))).split([])
    assert (words, items.tolist(), offsets.tolist()) == ([], [], [0])


def test_tokenizers_is_imported_when_it_is_needed() -> None:
    code = (
        "import sys; from portvec._tokenization.skeleton import Skeleton;"
        "skeleton = Skeleton({'normalizer': None, 'pre_tokenizer': None, 'added_tokens': []});"
        "print('tokenizers' in sys.modules); skeleton.split(['a']); print('tokenizers' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found == "False\nTrue\n"


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        (["A", "b"], None),
        (["A", "a"], "two of its added tokens are the same once they are normalized"),
        (["\0"], "one of its added tokens is empty once it is normalized"),
    ],
)
def test_ambiguous_added_tokens(contents: list[str], reason: str | None) -> None:
    tokenizer = tiny_models.tokenizer("wordpiece")
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.add_tokens([AddedToken(content, normalized=True) for content in contents])
    assert find_ambiguity(facts_of(tokenizer)) == reason
