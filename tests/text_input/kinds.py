"""The models whose graphs with text input run everywhere: one for each kind of tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

import matrix
import tiny_models
from corpus import paragraphs
from project import BUNDLED

_PIECES = 8_000
_TEXTS = 4_000


@dataclass(frozen=True)
class Kind:
    """A model to export with text input.

    Attributes:
        name: of its tokenizer.
        build: writes the model to a folder and returns the folder to export.
        export: options of export_model.
    """

    name: str
    build: Callable[[Path], Path]
    export: dict[str, Any] = field(default_factory=dict)


def _unigram() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<s>", "<pad>", "<unk>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=_PIECES, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(paragraphs(_TEXTS), trainer)
    return tokenizer


def _bpe() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=_PIECES, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(paragraphs(_TEXTS), trainer)
    return tokenizer


def _saved(tokenizer: Callable[[], Tokenizer]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        tiny_models.model(tokenizer=tokenizer()).save_pretrained(folder)
        return folder

    return write


KINDS = [
    Kind("WordPiece (minilm-l6-v2-256, int8)", lambda _: BUNDLED, {"dtype": "int8"}),
    Kind("Unigram, NFKC", _saved(_unigram)),
    Kind("Unigram, SentencePiece's character map", _saved(matrix.unigram_sentencepiece)),
    Kind("BPE of bytes", _saved(_bpe)),
]
