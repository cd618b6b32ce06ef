"""Random tokenizers of every kind, and texts that are hard on them.

A tokenizer is given as the content of tokenizer.json, so that one that fails can be kept. The combinations
that the word cache has rules for are the most frequent.
"""

from __future__ import annotations

import base64
import json
import tempfile
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import Tokenizer, pre_tokenizers

Json = dict[str, Any]

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
_PUNCTUATION = [*"!\"#'(),-./:;<=>?@[]_`{|}~", "''", "``", "'s", "...", "«", "。", "—"]
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
_LETTERS = ["a", "b", "c", "A", "B", "x", "y", "the", "value", "The", "ab", "1", "22"]
_LONG = [*("a" * size for size in (31, 32, 33, 62, 63, 64, 65, 101)), "é" * 32, "日" * 21 + "a", "日" * 22]
_TOKENS = [
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


def random_tokenizer(random: Random) -> Json:
    """Return the content of a tokenizer.json."""
    parts = random.choice([_bert, _metaspace, _metaspace, _metaspace, _byte_level, _any])(random)
    normalizer, pre_tokenizer, model = parts
    tokenizer: Json = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": None,
        "decoder": None,
        "model": model,
    }
    if random.random() < 0.5:
        tokenizer["added_tokens"] = _added_tokens(random, tokenizer)
    return tokenizer


def random_texts(random: Random, tokenizer: Json, count: int) -> list[str]:
    """Return texts for a tokenizer. They have words in common."""
    tokens = [token["content"] for token in tokenizer["added_tokens"]] or _TOKENS
    groups = [_WHITE_SPACE, _CONTROLS, _COMBINING, _PREPENDED, _COMPATIBILITY, _LONG, tokens]
    groups += [_LETTERS] * 6 + [_SPACES] * 6 + [_OTHER, _PUNCTUATION] * 2 + [[SEPARATOR, "\U0010ffff", "\0"]]

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


def _bert(random: Random) -> tuple[Json | None, Json | None, Json]:
    normalizer = _bert_normalizer(random)
    if random.random() < 0.1:
        normalizer = _sequence("normalizers", [normalizer, _normalizer(random)])
    pre_tokenizer = {"type": "BertPreTokenizer"} if random.random() < 0.9 else _pre_tokenizer(random)
    model = _wordpiece(random) if random.random() < 0.9 else _model(random, MARK)
    return normalizer, pre_tokenizer, model


def _metaspace(random: Random) -> tuple[Json | None, Json | None, Json]:
    steps = [_local_normalizer(random) for _ in range(random.randint(0, 4))]
    if random.random() < 0.1:
        steps.insert(random.randint(0, len(steps)), _normalizer(random))
    replacement = MARK if random.random() < 0.9 else "_"
    metaspace = {
        "type": "Metaspace",
        "replacement": replacement,
        "prepend_scheme": random.choice(["always", "always", "never", "first"]),
        "split": random.random() < 0.9,
    }
    pre_tokenizers = [metaspace]
    if random.random() < 0.4:
        pre_tokenizers.insert(
            0, {"type": "WhitespaceSplit"} if random.random() < 0.8 else _pre_tokenizer(random)
        )
    return (
        _sequence("normalizers", steps) if steps else None,
        _sequence("pretokenizers", pre_tokenizers),
        _model(random, replacement),
    )


def _byte_level(random: Random) -> tuple[Json | None, Json | None, Json]:
    normalizer = random.choice([None, None, {"type": "NFC"}, _normalizer(random)])
    pre_tokenizer = {
        "type": "ByteLevel",
        "add_prefix_space": random.random() < 0.5,
        "trim_offsets": True,
        "use_regex": random.random() < 0.9,
    }
    return normalizer, pre_tokenizer, _byte_bpe(random)


def _any(random: Random) -> tuple[Json | None, Json | None, Json]:
    steps = [_normalizer(random) for _ in range(random.randint(0, 4))]
    splits = [_pre_tokenizer(random) for _ in range(random.randint(0, 3))]
    return (
        _sequence("normalizers", steps) if steps else None,
        _sequence("pretokenizers", splits) if splits else None,
        _model(random, random.choice([MARK, "\u0120"])),
    )


def _sequence(field: str, steps: list[Json]) -> Json:
    return steps[0] if len(steps) == 1 else {"type": "Sequence", field: steps}


def _bert_normalizer(random: Random) -> Json:
    return {
        "type": "BertNormalizer",
        "clean_text": random.random() < 0.8,
        "handle_chinese_chars": random.random() < 0.7,
        "strip_accents": random.choice([None, None, True, False]),
        "lowercase": random.random() < 0.7,
    }


def _local_normalizer(random: Random) -> Json:
    """Return a normalizer of those that tokenizers of sentencepiece consist of."""
    name = random.choice(
        ["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Strip", "Strip", "Replace", "Replace"]
        + ["Precompiled"] * 3
    )
    if name == "Strip":
        return {"type": "Strip", "strip_left": random.random() < 0.2, "strip_right": True}
    if name == "Replace":
        return _replace({"Regex": " {2,}"}, random.choice([" ", MARK]))
    return _precompiled(random) if name == "Precompiled" else {"type": name}


def _normalizer(random: Random) -> Json:
    name = random.choice(
        ["local", "local", "Nmt", "Prepend", "Replace", "Replace", "Strip", "Bert", "ByteLevel"]
    )
    if name == "local":
        return _local_normalizer(random)
    if name == "Prepend":
        return {"type": "Prepend", "prepend": random.choice([MARK, " ", "a"])}
    if name == "Replace":
        literals = [" ", MARK, "a", "b ", " a", "''", "``", "", "\n", "é", "a b"]
        regexes = [" {2,}", "\\s+", "\\s+$", "^a", "a(?=b)", "(?<=b)a", "[^a-z]", " +b"]
        pattern = (
            {"String": random.choice(literals)}
            if random.random() < 0.6
            else {"Regex": random.choice(regexes)}
        )
        return _replace(pattern, random.choice([" ", MARK, "", "a", '"', "a b"]))
    if name == "Strip":
        return {"type": "Strip", "strip_left": random.random() < 0.5, "strip_right": random.random() < 0.5}
    return _bert_normalizer(random) if name == "Bert" else {"type": name}


def _replace(pattern: Json, content: str) -> Json:
    return {"type": "Replace", "pattern": pattern, "content": content}


def _precompiled(random: Random) -> Json:
    return {"type": "Precompiled", "precompiled_charsmap": random.choice(_charsmaps())}


@cache
def _charsmaps() -> list[str]:
    """Return maps as SentencePiece compiles them: its own, and two with rules made to be hard."""
    ends = {"\x85": "", "c": " ", "\u0600": "", "\u0605": "p", "\u0600 ": "q", "b\u0301": "", " \u0301": "r"}
    spaces = {
        "x": "a b",
        "y": " ",
        "\u3000": "  ",
        "\u00a0": MARK,
        "\n": " ",
        "\t": "",
        "\u0308": " ",
        "1": "2 ",
    }
    maps = [_compile(name) for name in ("nmt_nfkc", "nfkc", "nmt_nfkc_cf")]
    return [*maps, maps[0], *(_compile(rules=rules) for rules in (ends, spaces))]


def _compile(name: str = "", rules: dict[str, str] | None = None) -> str:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "rules.tsv")
        lines = [
            f"{' '.join(f'{ord(c):X}' for c in source)}\t{' '.join(f'{ord(c):X}' for c in target)}\n"
            for source, target in (rules or {}).items()
        ]
        file.write_text("".join(lines), encoding="ascii")
        options: dict[str, Any] = (
            {"normalization_rule_tsv": str(file)} if rules else {"normalization_rule_name": name}
        )
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(["a b c d e f g h"] * 10),
            model_prefix=str(Path(folder, "model")),
            vocab_size=12,
            minloglevel=4,
            hard_vocab_limit=False,
            **options,
        )
        proto: Any = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]  # made at import
        proto.ParseFromString(Path(folder, "model.model").read_bytes())
    return base64.b64encode(proto.normalizer_spec.precompiled_charsmap).decode()


def _pre_tokenizer(random: Random) -> Json:
    behaviors = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
    return random.choice(
        [
            {"type": "BertPreTokenizer"},
            {"type": "Whitespace"},
            {"type": "WhitespaceSplit"},
            {"type": "UnicodeScripts"},
            {"type": "Digits", "individual_digits": random.random() < 0.5},
            {"type": "CharDelimiterSplit", "delimiter": random.choice(" a\n")},
            {"type": "Punctuation", "behavior": random.choice(behaviors)},
            {"type": "FixedLength", "length": random.randint(1, 5)},
            {
                "type": "Split",
                "pattern": random.choice([{"String": " "}, {"Regex": "\\s+"}, {"Regex": "\\w+|[^\\w\\s]+"}]),
                "behavior": random.choice(behaviors),
                "invert": random.random() < 0.3,
            },
            {
                "type": "Metaspace",
                "replacement": MARK,
                "prepend_scheme": random.choice(["always", "never", "first"]),
                "split": random.random() < 0.7,
            },
            {
                "type": "ByteLevel",
                "add_prefix_space": random.random() < 0.5,
                "trim_offsets": True,
                "use_regex": random.random() < 0.7,
            },
        ]
    )


def _model(random: Random, mark: str) -> Json:
    kind = random.choice([_unigram, _unigram, _bpe, _bpe, _wordlevel])
    return kind(random, mark) if random.random() < 0.9 else _wordpiece(random)


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


def _bpe(random: Random, mark: str) -> Json:
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
        "vocab": _numbered(tokens),
        "merges": merges,
    }


def _byte_bpe(random: Random) -> Json:
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
        "vocab": _numbered([*([unknown] if unknown else []), *pieces]),
        "merges": merges,
    }


def _wordpiece(random: Random) -> Json:
    prefix = random.choice(["##", "##", "##", ""])
    pieces = ["[PAD]", "[UNK]", *_PUNCTUATION[:20], *_pieces(random, random.choice("ab"), complete=False)]
    pieces += [prefix + piece for piece in pieces if random.random() < 0.7]
    if random.random() < 0.2:
        pieces.remove("!")
    return {
        "type": "WordPiece",
        "unk_token": "[UNK]",
        "continuing_subword_prefix": prefix,
        "max_input_chars_per_word": random.choice([100, 100, 100, 64, 63, 5]),
        "vocab": _numbered(list(dict.fromkeys(pieces))),
    }


def _wordlevel(random: Random, mark: str) -> Json:
    pieces = [*_pieces(random, mark, complete=False), *(mark + word for word in _LETTERS), *_LETTERS]
    unknown = random.choice(["<unk>", "<unk>", f"{mark}?"])
    return {
        "type": "WordLevel",
        "vocab": _numbered(list(dict.fromkeys([unknown, *pieces]))),
        "unk_token": unknown,
    }


def _numbered(tokens: list[str]) -> dict[str, int]:
    return {token: index for index, token in enumerate(tokens)}


def _added_tokens(random: Random, tokenizer: Json) -> list[Json]:
    vocabulary = tokenizer["model"]["vocab"]
    if isinstance(vocabulary, list):
        vocabulary = _numbered([piece for piece, _ in vocabulary])
    following = max(vocabulary.values()) + 1
    normalizer = Tokenizer.from_str(json.dumps(tokenizer)).normalizer
    added: dict[str, Json] = {}
    for content in random.choices(
        [*_TOKENS, *random.choices(sorted(vocabulary), k=4)], k=random.randint(1, 4)
    ):
        known = vocabulary.get(content)
        token = {
            "id": following if known is None else known,
            "content": content,
            **{name: random.random() < 0.3 for name in ("single_word", "lstrip", "rstrip")},
            "normalized": random.random() < 0.4,
            "special": random.random() < 0.6,
        }
        # Of two tokens that normalize to the same, `tokenizers` finds either, and on an empty one it may
        # never end.
        normalized = content if normalizer is None else normalizer.normalize_str(content)
        if normalized and normalized.strip() not in added:
            added[normalized.strip()] = token
            following += known is None
    return sorted(added.values(), key=lambda token: token["id"])
