"""Random models of tokenizers: small vocabularies, as parts of the content of tokenizer.json."""

from __future__ import annotations

from random import Random
from typing import Any

from tokenizers import pre_tokenizers

from random_texts import LETTERS, MARK, PUNCTUATION

Json = dict[str, Any]

_ALPHABET = [
    *"abcxythevlu12AB",
    "é",
    "日",
    "本",
    "가",
    "\u0301",
    "!",
    ",",
    ".",
    "'",
    "-",
    "\n",
    "\x85",
    "\u3000",
]


def random_model(random: Random, mark: str) -> Json:
    """Return a model for words that begin with `mark`."""
    kind = random.choice([_unigram, _unigram, random_bpe, random_bpe, _wordlevel])
    return kind(random, mark) if random.random() < 0.9 else wordpiece(random)


def _pieces(random: Random, mark: str, *, complete: bool) -> list[str]:
    """Return distinct pieces: most characters of the alphabet, if not all, and combinations of some."""
    letters = _ALPHABET if complete else random.sample(_ALPHABET, k=random.randint(8, len(_ALPHABET)))
    pieces = [*letters, *([mark] if random.random() < 0.8 else [])]
    for _ in range(60):
        start = mark if random.random() < 0.4 else ""
        pieces.append(start + "".join(random.choices(letters, k=random.randint(1, 3))))
    pieces += ["the", f"{mark}the", "value", f"{mark}value", f"{mark}{mark}", f"a{mark}", " ", "  ", " a"]
    return list(dict.fromkeys(pieces))


def _bytes() -> list[str]:
    return [f"<0x{code:02X}>" for code in range(256)]


def _unigram(random: Random, mark: str) -> Json:
    byte_fallback = random.random() < 0.3
    unknown = [random.choice(["<unk>", "<unk>", "<unk>", mark, f"{mark}?"])] if random.random() < 0.9 else []
    pieces = [*unknown, *(_bytes() if byte_fallback and random.random() < 0.8 else [])]
    pieces += [piece for piece in _pieces(random, mark, complete=not unknown) if piece not in unknown]
    if not unknown:  # without an unknown token, an unknown character is an error
        pieces += [MARK] if MARK not in pieces else []
    return {
        "type": "Unigram",
        "unk_id": 0 if unknown else None,
        "vocab": [[piece, 0.0 if piece in unknown else -random.uniform(1, 12)] for piece in pieces],
        "byte_fallback": byte_fallback,
    }


def random_bpe(random: Random, mark: str) -> Json:
    unknown = random.choice([None, "<unk>", "<unk>", f"{mark}?"])
    byte_fallback = random.random() < 0.3
    prefix = random.choice([None, None, None, None, "##", mark])
    suffix = random.choice([None, None, None, None, "</w>"])
    letters = [mark, *random.sample(_ALPHABET, k=random.randint(8, len(_ALPHABET)))]
    pieces = list(letters)
    if prefix or suffix:
        pieces += [f"{prefix or ''}{c}" for c in letters] + [f"{c}{suffix or ''}" for c in letters]
        pieces += [f"{prefix or ''}{c}{suffix or ''}" for c in letters]
    pieces = list(dict.fromkeys(pieces))
    merges = []
    for _ in range(random.randint(0, 60)):
        first, second = random.choice(pieces), random.choice(pieces)
        merged = first + second.removeprefix(prefix or "")
        # tokenizers cuts the prefix off without looking, and aborts if that leaves half a character.
        if second.startswith(prefix or "") and merged not in pieces and len(merged) < 8:
            pieces.append(merged)
            merges.append([first, second])
    tokens = [*([unknown] if unknown else []), *(_bytes() if byte_fallback else []), *pieces]
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": unknown,
        "continuing_subword_prefix": prefix,
        "end_of_word_suffix": suffix,
        "fuse_unk": random.random() < 0.5,
        "byte_fallback": byte_fallback,
        "ignore_merges": random.random() < 0.3,
        "vocab": numbered(tokens),
        "merges": merges,
    }


def byte_level_bpe(random: Random) -> Json:
    """Return a BPE model of bytes, written as ByteLevel writes them."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    if random.random() < 0.3:  # bytes without a token are left out, or unknown
        letters = random.sample(letters, k=random.randint(100, 255))
    pieces = list(letters)
    merges = []
    frequent = [letter for letter in "\u0120thevaluxyzABc1\u010a!'\u00c3\u00a9" if letter in letters]
    for _ in range(random.randint(0, 120)):
        first, second = random.choice([frequent, pieces]), random.choice([frequent, pieces])
        pair = [random.choice(first), random.choice(second)]
        if "".join(pair) not in pieces and len("".join(pair)) < 8:
            pieces.append("".join(pair))
            merges.append(pair)
    unknown = random.choice([None, None, "<unk>", "\u0120?"])
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": unknown,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": random.random() < 0.5,
        "byte_fallback": False,
        "ignore_merges": random.random() < 0.3,
        "vocab": numbered([*([unknown] if unknown else []), *pieces]),
        "merges": merges,
    }


def wordpiece(random: Random) -> Json:
    """Return a WordPiece model."""
    prefix = random.choice(["##", "##", "##", ""])
    pieces = ["[PAD]", "[UNK]", *PUNCTUATION[:20], *_pieces(random, random.choice("ab"), complete=False)]
    pieces += [prefix + piece for piece in pieces if random.random() < 0.7]
    if random.random() < 0.2:
        pieces.remove("!")
    return {
        "type": "WordPiece",
        "unk_token": "[UNK]",
        "continuing_subword_prefix": prefix,
        "max_input_chars_per_word": random.choice([100, 100, 100, 64, 63, 5]),
        "vocab": numbered(list(dict.fromkeys(pieces))),
    }


def _wordlevel(random: Random, mark: str) -> Json:
    pieces = [*_pieces(random, mark, complete=False), *(mark + word for word in LETTERS), *LETTERS]
    unknown = random.choice(["<unk>", "<unk>", f"{mark}?"])
    return {
        "type": "WordLevel",
        "vocab": numbered(list(dict.fromkeys([unknown, *pieces]))),
        "unk_token": unknown,
    }


def numbered(tokens: list[str]) -> dict[str, int]:
    """Return a vocabulary of tokens, numbered in order."""
    return {token: index for index, token in enumerate(tokens)}
