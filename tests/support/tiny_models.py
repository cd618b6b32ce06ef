"""Small Model2Vec models with real tokenizers, trained on the standard library's docstrings."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from model2vec import StaticModel
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from corpus import paragraphs

Kind = Literal["wordpiece", "unigram", "bpe", "wordlevel"]
KINDS: tuple[Kind, ...] = ("wordpiece", "unigram", "bpe", "wordlevel")

_SIZE = 800
_TRAINING = 1500  # paragraphs


@cache
def _tokenizer_json(kind: Kind) -> str:
    texts = [*paragraphs(_TRAINING), "naïve café Straße 日本語 Русский ελληνικά"]
    trainer: Any
    if kind == "wordpiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(
            vocab_size=_SIZE, special_tokens=["[PAD]", "[UNK]", "[CLS]"], show_progress=False
        )
    elif kind == "unigram":
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.normalizer = normalizers.NFKC()
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=_SIZE, special_tokens=["<s>", "<pad>", "<unk>"], unk_token="<unk>", show_progress=False
        )
    elif kind == "bpe":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = trainers.BpeTrainer(
            vocab_size=_SIZE,
            special_tokens=["<|endoftext|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
    else:
        tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        trainer = trainers.WordLevelTrainer(
            vocab_size=_SIZE, special_tokens=["[UNK]", "[PAD]"], show_progress=False
        )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer.to_str()


def tokenizer(kind: Kind) -> Tokenizer:
    """Return a fresh tokenizer of the kind.

    It is trained once in each process. Trainers iterate over hash maps, so another process may get other
    pieces.
    """
    return Tokenizer.from_str(_tokenizer_json(kind))


def vectors(rows: int, dim: int = 24, dtype: str = "float32") -> npt.NDArray[Any]:
    """Return a random table of float values that float16 holds exactly as well."""
    table = np.random.default_rng(rows).standard_normal((rows, dim)).astype(np.float16)
    return table.astype(dtype)


def model(kind: Kind = "wordpiece", *, dtype: str = "float32", **options: Any) -> StaticModel:
    """Return a model of the kind; `options` go to StaticModel, and override what is built here."""
    built = options.pop("tokenizer", None) or tokenizer(kind)
    table = options.pop("vectors", vectors(built.get_vocab_size(), dtype=dtype))
    return StaticModel(vectors=table, tokenizer=built, **{"normalize": True, **options})


def save(folder: Path, kind: Kind = "wordpiece", **options: Any) -> Path:
    """Write a model in model2vec's own layout."""
    model(kind, **options).save_pretrained(folder)
    return folder


def save_sentence_transformers(folder: Path, *, nested: bool) -> Path:
    """Write a WordPiece model as sentence-transformers' StaticEmbedding does, flat or nested."""
    built = model()
    inner = folder / "0_StaticEmbedding" if nested else folder
    inner.mkdir(parents=True)
    save_file({"embedding.weight": built.embedding}, inner / "model.safetensors")
    built.tokenizer.save(str(inner / "tokenizer.json"))
    config = {"model_type": "SentenceTransformer", "similarity_fn_name": "cosine"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(config))
    return folder
