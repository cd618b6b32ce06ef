"""The texts to measure with: corpora if they are present, else the documentation in every Python."""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Iterator
from functools import cache
from itertools import chain, islice, product
from pathlib import Path

from portvec._cli.bench.texts import make_text_sets

CORPORA = Path(os.environ.get("PORTVEC_CORPORA") or Path(__file__).parents[2] / "shared" / "corpora")

# 85 syllables of two letters, for words that no text has.
SYLLABLES = ["".join(pair) for pair in product("bcdfghjklmnprstvz", "aeiou")]

_WORDS_OF_A_DOCUMENT = 750
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def paragraphs(count: int) -> list[str]:
    """Return English paragraphs of about 37 words."""
    return list(_corpus("english_paragraphs", "medium")[:count])


def sentences(count: int) -> list[str]:
    """Return English sentences of 5 to 20 words, about 13."""
    return list(islice(_sentences(), count))


def documents(count: int) -> list[str]:
    """Return long English texts, each of 750 words from consecutive paragraphs."""
    return list(islice(_windows(_WORDS_OF_A_DOCUMENT, _WORDS_OF_A_DOCUMENT), count))


def languages(count: int) -> list[str]:
    """Return lines in many languages and scripts, taken evenly from the corpus."""
    lines = _corpus("udhr_lines", None) or list(_fallback_languages())
    if len(lines) <= count:
        return lines
    return [lines[row * len(lines) // count] for row in range(count)]


def many(count: int) -> Iterator[str]:
    """Yield distinct English texts of 12 words; a small corpus is repeated with a number in each text."""
    first = _windows(12, 2)
    again = (f"{text} {number}" for number in range(count) for text in _windows(12, 2))
    return islice(chain(first, again), count)


def with_new_words(count: int) -> Iterator[list[str]]:
    """Yield lists of `count` sentences, without an end. Each has a word of eight letters of its own."""
    known = [sentence.split() for sentence in sentences(1_000)]
    for start in range(0, len(SYLLABLES) ** 4, count):
        yield [_with_new_word(known[number % len(known)], number) for number in range(start, start + count)]


def _with_new_word(words: list[str], number: int) -> str:
    # Consecutive numbers would give words that differ in one syllable. The factor and the number of words
    # have no common divisor, so all words are distinct.
    rest = number * 7_919_317 % len(SYLLABLES) ** 4
    parts = []
    for _ in range(4):
        rest, digit = divmod(rest, len(SYLLABLES))
        parts.append(SYLLABLES[digit])
    middle = len(words) // 2
    return " ".join([*words[:middle], "".join(parts), *words[middle + 1 :]])


def _corpus(name: str, fallback: str | None) -> list[str]:
    path = CORPORA / f"{name}.txt.gz"
    if path.exists():
        return _lines(path)
    return make_text_sets()[fallback] if fallback else []


@cache
def _lines(path: Path) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return list(dict.fromkeys(line.rstrip("\n") for line in file))


def _sentences() -> Iterator[str]:
    seen = set()
    for paragraph in paragraphs(10**9):
        for sentence in _SENTENCE_END.split(paragraph):
            if 5 <= len(sentence.split()) <= 20 and sentence not in seen:
                seen.add(sentence)
                yield sentence


def _windows(length: int, step: int) -> Iterator[str]:
    words = [word for paragraph in paragraphs(10**9) for word in paragraph.split()]
    for start in range(0, len(words) - length, step):
        yield " ".join(words[start : start + length])


def _fallback_languages() -> Iterator[str]:
    """Yield random words in the alphabets of nine scripts: no language, but realistic code points."""
    alphabets = [
        "абвгдежзиклмнопрст",
        "αβγδεζηθικλμνοπρσ",
        "abcdéèêüößñçãøå",
        "אבגדהוזחטיכלמנ",
        "ابتثجحخدذرزسش",
    ]
    alphabets += ["अआइईउऊकखगघचछजझ", "กขคงจฉชซญดต", "日本語中文字学校生活時間", "가나다라마바사아자차"]
    for number, text in enumerate(make_text_sets()["medium"]):
        alphabet = alphabets[number % len(alphabets)]
        yield "".join(c if c == " " else alphabet[ord(c) % len(alphabet)] for c in text)
