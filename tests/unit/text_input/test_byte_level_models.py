"""Whole tokenizers of byte-level models in a graph, with added tokens, against tokenizers."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from flat_texts import id_outputs, read_ids, run_all
from portvec_export._onnx.builder import Graph
from portvec_export._text_input.arrays.flat import OPSET
from portvec_export._text_input.assemble import add_tokenizer
from portvec_export._text_input.pre_tokenization.split_patterns import GPT2, PATTERNS
from random_models import byte_level_bpe
from random_texts import random_texts
from text_graphs import to_matrix

ADDED = ["<|endoftext|>", "the", " the", "é"]


def pre_tokenizer(random: Random, pattern: str | None) -> dict[str, Any]:
    byte_level = {
        "type": "ByteLevel",
        "add_prefix_space": random.random() < 0.5,
        "trim_offsets": False,
        "use_regex": pattern is None,
    }
    if pattern is None:
        return byte_level
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [split, byte_level]}


def byte_level_tokenizer(random: Random, pattern: str | None) -> Tokenizer:
    model = byte_level_bpe(random)
    first = max(model["vocab"].values()) + 1
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    added = [
        {"id": first + number, "content": content, "special": number == 0, **flags}
        for number, content in enumerate(ADDED)
        if content not in model["vocab"]
    ]
    state = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added if random.random() < 0.7 else [],
        "normalizer": random.choice([None, {"type": "NFC"}, {"type": "Lowercase"}]),
        "pre_tokenizer": pre_tokenizer(random, pattern),
        "post_processor": None,
        "decoder": None,
        "model": model,
    }
    return Tokenizer.from_str(json.dumps(state))


@pytest.mark.parametrize("pattern", [None, GPT2, *PATTERNS])
def test_random_models(pattern: str | None) -> None:
    for seed in range(4):
        random = Random(seed)
        tokenizer = byte_level_tokenizer(random, pattern)
        graph = Graph(OPSET)
        matrix = graph.input("codepoints", np.int32, ["batch_size", "length"])
        id_outputs(graph, add_tokenizer(graph, matrix, tokenizer, None))
        batches = [
            random_texts(random, ADDED, 200),
            ["", "", "the"],
            [""],
            ["It's  the é<|endoftext|> 1234\n\n!"],
        ]
        found = run_all(graph, [{"codepoints": to_matrix(batch)} for batch in batches])
        for batch, got in zip(batches, found, strict=True):
            expected = tokenizer.encode_batch(batch, add_special_tokens=False)
            assert read_ids(got, len(batch)) == [encoding.ids for encoding in expected]
