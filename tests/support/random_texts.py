"""Random texts that are hard on tokenizers."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

MARK = "\u2581"
SEPARATOR = "\U0010fffe"

# Samples of what normalizers, pre-tokenizers and models treat apart from letters.
_WHITE_SPACE = list(
    "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2003\u200a\u2028\u2029\u202f\u205f\u3000"
)
_CONTROLS = list("\0\1\x08\x1b\x7f\x80\x9f\xad\u180e\u200b\u200c\u200d\u200e\u2060\ufeff\ufffd\uffff\ue000")
_COMBINING = list("\u0301\u0308\u0323\u0338\u0345\u0483\u05bc\u064b\u093f\u0e33\u1ab0\u20d0\u3099\ufe0f")
_PREPENDED = list("\u0600\u0605\u06dd\u070f\u0890\u0d4e\U000110bd\U000111c2\U00011a84\U00011f02")
_COMPATIBILITY = list("\u00a8\u00b4\u00af\u00b8\u02d8\u037a\u037e\u1fc0\u2017\u203e\u2026\u2100\u2260\u226e")
_COMPATIBILITY += list(
    "\u309b\u3131\ufb01\ufdfa\ufe70\ufe49\uff01\uff21\uff9e\uffa0\uffe3\u1e9e\u0130\u03c2\u03a3"
)
_OTHER = ["é", "e\u0301", "Å", "ß", "日", "本", "ー", "가", "\u1100\u1161", "ส", "नि", "\U0001f1ef\U0001f1f5"]
_OTHER += ["\U0001f469\u200d\U0001f467", "1\ufe0f\u20e3", "\U0001f44b\U0001f3fd", "٣", "²", "½"]
PUNCTUATION = [*"!\"#'(),-./:;<=>?@[]_`{|}~", "''", "``", "'s", "...", "«", "。", "—"]
_SPACES = [
    " ",
    " ",
    " ",
    " ",
    "  ",
    "   ",
    "\n",
    "\r\n",
    "\t",
    " \n",
    "\n ",
    MARK,
    f" {MARK}",
    f"{MARK}{MARK}",
]
LETTERS = ["a", "b", "c", "A", "B", "x", "y", "the", "value", "The", "ab", "1", "22"]
_LONG = [*("a" * size for size in (31, 32, 33, 62, 63, 64, 65, 101)), "é" * 32, "日" * 21 + "a", "日" * 22]
TOKENS = [
    "[UNK]",
    "<unk>",
    "<s>",
    "</s>",
    "[PAD]",
    "the",
    " the",
    "a b",
    "é",
    "A",
    "\n",
    "b ",
    "''",
    "\u0120a",
]


def random_texts(random: Random, tokens: Sequence[str], count: int) -> list[str]:
    """Return texts, also with the added tokens of a tokenizer. They have words in common."""
    groups = [_WHITE_SPACE, _CONTROLS, _COMBINING, _PREPENDED, _COMPATIBILITY, _LONG, tokens or TOKENS]
    groups += [LETTERS] * 6 + [_SPACES] * 6 + [_OTHER, PUNCTUATION] * 2 + [[SEPARATOR, "\U0010ffff", "\0"]]

    def concatenate(size: int) -> str:
        return "".join(random.choice(random.choice(groups)) for _ in range(size))

    words = [concatenate(random.randint(1, 5)) for _ in range(12)]
    words += [chr(_code_point(random)) + random.choice(["", "a"]) for _ in range(4)]

    def text() -> str:
        size = random.choice([0, 1, 2, 3, 5, 8])
        choice = random.random()
        if choice < 0.4:
            return " ".join(random.choices(words, k=size))
        return concatenate(size) if choice < 0.7 else "".join(random.choices(words, k=size))

    return [text() for _ in range(count)]


def _code_point(random: Random) -> int:
    """Return any code point that is not a surrogate. Half of them are below U+3000."""
    code = random.randrange(random.choice([0x3000, 0x110000]))
    return ord("a") if 0xD800 <= code < 0xE000 else code
