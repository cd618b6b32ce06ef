"""Random tokenizers of every kind, as the content of tokenizer.json, so that one that fails can be kept.

The combinations that the word cache has rules for are the most frequent.
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
from tokenizers import Tokenizer

from portvec._failures import is_failure
from random_models import byte_level_bpe, numbered, random_model, wordpiece
from random_texts import MARK, TOKENS

Json = dict[str, Any]


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


def _bert(random: Random) -> tuple[Json | None, Json | None, Json]:
    normalizer = _bert_normalizer(random)
    if random.random() < 0.1:
        normalizer = _sequence("normalizers", [normalizer, _normalizer(random)])
    pre_tokenizer = {"type": "BertPreTokenizer"} if random.random() < 0.9 else _pre_tokenizer(random)
    model = wordpiece(random) if random.random() < 0.9 else random_model(random, MARK)
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
        random_model(random, replacement),
    )


def _byte_level(random: Random) -> tuple[Json | None, Json | None, Json]:
    normalizer = random.choice([None, None, {"type": "NFC"}, _normalizer(random)])
    pre_tokenizer = {
        "type": "ByteLevel",
        "add_prefix_space": random.random() < 0.5,
        "trim_offsets": True,
        "use_regex": random.random() < 0.9,
    }
    return normalizer, pre_tokenizer, byte_level_bpe(random)


def _any(random: Random) -> tuple[Json | None, Json | None, Json]:
    steps = [_normalizer(random) for _ in range(random.randint(0, 4))]
    splits = [_pre_tokenizer(random) for _ in range(random.randint(0, 3))]
    return (
        _sequence("normalizers", steps) if steps else None,
        _sequence("pretokenizers", splits) if splits else None,
        random_model(random, random.choice([MARK, "\u0120"])),
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
    maps = [compile_charsmap(name) for name in ("nmt_nfkc", "nfkc", "nmt_nfkc_cf")]
    return [*maps, maps[0], *(compile_charsmap(rules=rules) for rules in (ends, spaces))]


def compile_charsmap(name: str = "", rules: dict[str, str] | None = None) -> str:
    """Return one of SentencePiece's own charsmaps, or one with these rules."""
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


def _added_tokens(random: Random, tokenizer: Json) -> list[Json]:
    vocabulary = tokenizer["model"]["vocab"]
    if isinstance(vocabulary, list):
        vocabulary = numbered([piece for piece, _ in vocabulary])
    following = max(vocabulary.values()) + 1
    normalizer = Tokenizer.from_str(json.dumps(tokenizer)).normalizer
    added: dict[str, Json] = {}
    for content in random.choices(
        [*TOKENS, *random.choices(sorted(vocabulary), k=4)], k=random.randint(1, 4)
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
        normalized = content if normalizer is None else _normalize(normalizer, content)
        if normalized and normalized.strip() not in added:
            added[normalized.strip()] = token
            following += known is None
    return sorted(added.values(), key=lambda token: token["id"])


def _normalize(normalizer: Any, text: str) -> str:
    """Return the normalized text; the empty one if the normalizer fails or panics."""
    try:
        normalized: str = normalizer.normalize_str(text)
    except BaseException as error:
        if not is_failure(error):
            raise
        return ""
    return normalized
