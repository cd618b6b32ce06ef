"""Charsmaps of SentencePiece in a graph, against Hugging Face's normalizer Precompiled."""

from __future__ import annotations

import base64
from functools import cache
from itertools import product
from random import Random

import numpy as np
import pytest
from tokenizers import normalizers

from portvec_export._text_input.errors import NotExpressible
from portvec_export._text_input.normalization.charsmaps import read_shortest_keys
from portvec_export._text_input.normalization.graphemes import JOINING, find_facts
from portvec_export._text_input.normalization.normalizers import add_normalizer
from random_texts import random_texts
from random_tokenizers import compile_charsmap
from text_graphs import EVERY_CODE, TextGraph
from texts import ADVERSARIAL, scripts

# Keys of graphemes, of their beginnings, and of characters that join graphemes; images of any length.
HARD = {
    "a\u0301\u0302": "X",
    "b\u0301": "YZ",
    "b\u0301\u0302": "Q",
    "\u1161": "v",
    "\u11a8\u0301": "t",
    "\uac00\u0301": "ga",
    "\u0915\u0301": "KA",
    "\u0915": "k",
    "\u00a9\u0301": "C",
    "\u00a9\u200d": "",
    "\u0600e": "zz",
    "\u0600": "n",
    "\r\n": "N",
    "\u0301": "!",
    "\u0301\u0302": "?",
    "the value": "V",
}
NAMES = ("nmt_nfkc", "nfkc", "nmt_nfkc_cf", "hard")
FACTS = find_facts()
JOINING_CHARACTERS = [chr(code) for code in np.flatnonzero(FACTS >= JOINING).tolist()]
SPECIAL = [chr(code) for code in np.flatnonzero(FACTS >> 12 & 63).tolist()]
CONTROLS = [chr(code) for code in np.flatnonzero(FACTS[:0x3000] == 0).tolist()]
JAMO = [chr(code) for code in [*range(0x1100, 0x1200), 0xAC00, 0xAC01]]
FEW = [*"ab\r\n", "\u0301", "\u0302", "\u200d", "\u00a9", "\u0600", "\u0915", "\u094d"]
FEW += ["\u1161", "\u11a8", "\uac00"]


@cache
def charsmap_of(name: str) -> str:
    return compile_charsmap(rules=HARD) if name == "hard" else compile_charsmap(name)


@cache
def graph_of(name: str) -> TextGraph:
    state = {"type": "Precompiled", "precompiled_charsmap": charsmap_of(name)}
    return TextGraph(lambda graph, characters: add_normalizer(graph, characters, state))


def check(name: str, texts: list[str], *, all_levels: bool = True) -> None:
    normalize = normalizers.Precompiled(base64.b64decode(charsmap_of(name))).normalize_str
    found = graph_of(name).characters(texts, all_levels=all_levels)
    assert found == [[normalized] if (normalized := normalize(text)) else [] for text in texts]


@pytest.mark.parametrize("name", NAMES)
def test_texts(name: str) -> None:
    check(name, [*ADVERSARIAL, *scripts(), *random_texts(Random(name), [], 500)])
    for text in ("", "a", "\u0301", "a\u0301", "\r", "\n"):
        check(name, [text])
        check(name, ["b", text, "", text, "\n"])


@pytest.mark.parametrize("name", ["nmt_nfkc", "hard"])
def test_every_code_point(name: str) -> None:
    for pattern in ("b?\u0301\n", "?\n"):
        texts = [pattern.replace("?", chr(code)) for code in EVERY_CODE]
        runs = ["".join(texts[start : start + 256]) for start in range(0, len(texts), 256)]
        check(name, runs, all_levels=False)


@pytest.mark.parametrize("name", NAMES)
def test_hard_characters_beside_each_other(name: str) -> None:
    random = Random(name)
    keys = list(read_shortest_keys(base64.b64decode(charsmap_of(name)), 5))
    groups = [JOINING_CHARACTERS, SPECIAL, CONTROLS, JAMO, FEW, FEW, keys]
    texts = ["".join(random.choice(random.choice(groups)) for _ in range(size % 16)) for size in range(9000)]
    check(name, texts)
    check(name, ["".join(four) for four in product(FEW, repeat=4)], all_levels=False)


def test_a_charsmap_that_is_not_a_text() -> None:
    units = np.zeros(1024, dtype="<u4")
    units[0] = 256 << 10
    units[256 ^ 0xC3] = 0xC3 | 256 | (256 ^ 0xC3 ^ 512) << 10
    units[512] = 1 << 31
    charsmap = np.array([units.nbytes], dtype="<u4").tobytes() + units.tobytes()
    with pytest.raises(NotExpressible, match="an image that is outside it"):
        read_shortest_keys(charsmap, 5)
    with pytest.raises(NotExpressible, match="a key or an image that is not UTF-8"):
        read_shortest_keys(charsmap + b"a\0", 5)
