"""Texts that are hard on tokenizers."""

from __future__ import annotations

import random
import sys
import unicodedata
from functools import cache


@cache
def scripts() -> list[str]:
    """Return lines of random words in every script that Unicode names, deterministic for a Python."""
    letters: dict[str, list[str]] = {}
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if unicodedata.category(character)[0] in "LM":
            script = unicodedata.name(character, "?").split()[0]
            letters.setdefault(script, []).append(character)
    rng = random.Random(7)
    return [
        " ".join("".join(rng.choices(alphabet, k=rng.randint(1, 9))) for _ in range(8))
        for alphabet in letters.values()
        if len(alphabet) > 3
    ]


ADVERSARIAL = [
    # combining marks, stacked and alone; composed against decomposed
    "e\u0301" * 20 + " \u0301\u0302\u0303 a" + "\u0308" * 50,
    "Å Å A\u030a ﬁ ﬀ ½ ² ㎏ ﷺ Ⅷ ǆ İi ıI ß ẞ ς Σ",
    # CJK without spaces, half and full width, Hangul as syllables and as jamo
    "自然言語処理は人工知能の一分野である。中文没有空格分词困难" * 3,
    "ｆｕｌｌ　ｗｉｄｔｈ ﾊﾝｶｸ 한국어 \u1112\u1161\u11ab\u1100\u1173\u11af",
    # emoji: joined, coloured, flags, keycaps, variation selectors, tags
    "👩‍👩‍👧‍👦👨🏿‍🦰🏳️‍🌈🏴󠁧󠁢󠁥󠁮󠁧󠁿🇯🇵🇺🇸1️⃣☺︎☺️",
    # both directions, with marks, isolates and overrides
    "\u202eabc\u202c אבג\u200f def \u2067عربي\u2069 \u061c(مرحبا)",
    # NUL and other controls, C1, byte order marks, noncharacters, private use
    "\x00a\x00b\x00 \x01\x02\x07\x08\x1b[31m\x7f \x80\x85\x9f \ufeff\ufffe\uffff \ue000\U000f0000\U0010ffff",
    "x\x1cy\x1dz\x1ev\x1fw\x0bu\x0ct",
    # zero-width and exotic white space
    "a\u200bb\u200cc\u200dd\u2060e\u180ef\u00adg",
    "a\u00a0b\u1680c\u2000d\u2003e\u2009f\u200ag\u2028h\u2029i\u202fj\u205fk\u3000l",
    "\t\t  \n\n \r\r\n  two  spaces   three    ",
    # special tokens, literally and nearly
    "[CLS] text [SEP] [PAD][PAD] [UNK]x[MASK] <s>a</s> <pad><unk> <|endoftext|>x [ CLS ] [cls] <end of text>",
    "return value the function objects object Größe  größe the  function Return Value",
    "▁metaspace ▁▁ literal Ġ byte-level Ċ ## ##ing",
    # punctuation, mathematics, long words around the limit of WordPiece
    "!!!???...---___***///\\\\\\\"\"\"'''```~~~^^^@@@###$$$%%%&&&((([[[{{{<<<|||;;;:::,,,",
    "∀x∈ℝ: ⌈x⌉ = −⌊−x⌋ ∑∏∫√∞≈≠≤≥ 𝔸𝕓𝒞𝓭𝟘𝟙",
    *["x" * n for n in (1, 99, 100, 101, 200)],
    "pre" + "ab" * 50 + " " + "é" * 101 + " e\u0301" * 101,
    "1234567890" * 30 + " 0x" + "f" * 64 + " 3.14159e-10 1,000,000.00 ١٢٣ १२३ ４５６",
    "the " * 600,
    "supercalifragilistic" * 200,
    "",
    " ",
    "\u200b",
    "\ufffd",
    "[UNK]",
]


def huge() -> list[str]:
    """Return texts of a megabyte: without a space, and of a hundred thousand words."""
    return ["abcdefghij" * 100_000, "lorem ipsum dolor " * 33_334, "é漢🙂\u0301 " * 50_000]


def around_limits(max_length: int | None, max_characters: int | None) -> list[str]:
    """Return texts exactly at, one under and one over every truncation limit."""
    found = []
    if max_length is not None:
        found += [
            unit * n for unit in ("a ", "value ", "é ") for n in (max_length - 1, max_length, max_length + 1)
        ]
    if max_characters is not None:
        for n in (max_characters - 1, max_characters, max_characters + 1):
            found += [(unit * (n // len(unit) + 1))[:n] for unit in ("ab", "the value ", "🙂e\u0301")]
    return found
