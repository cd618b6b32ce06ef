"""The space of Model2Vec models: every tokenizer, table, option and layout, as small real models."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece
from model2vec import StaticModel
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

import tiny_models
from classifiers import Projector, pipeline
from comparison import Reference
from corpus import paragraphs


@dataclass(frozen=True)
class Case:
    """A model to build, and how to export it.

    Attributes:
        name: of the case.
        build: writes the model to a folder and returns the folder to export.
        export: options of export_model.
        reference: the same options by model2vec's names.
    """

    name: str
    build: Callable[[Path], Path]
    export: dict[str, Any] = field(default_factory=dict)
    reference: dict[str, Any] = field(default_factory=dict)

    def load_model(self, source: Path) -> StaticModel:
        folder = self.export.get("subfolder")
        return StaticModel.from_pretrained(
            source, subfolder=folder, quantize_to="float32", force_download=False, **self.reference
        )

    def load_reference(self, source: Path) -> Reference:
        """Return what computes the expected embeddings."""
        return self.load_model(source)


@dataclass(frozen=True)
class ProjectorCase(Case):
    """A projector to build, which model2vec's pipeline runs."""

    export: dict[str, Any] = field(default_factory=lambda: {"semantics": "projector"})

    def load_reference(self, source: Path) -> Reference:
        return Projector(source, self.load_model(source))


def wordpiece_cased() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=900, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(paragraphs(1000), trainer)
    return tokenizer


def stored_settings() -> Tokenizer:
    """A tokenizer with everything stored that must not leak into ids: padding, truncation, template."""
    tokenizer = wordpiece_cased()
    tokenizer.enable_padding(pad_id=0, pad_token="[PAD]", length=64, direction="left")
    tokenizer.enable_truncation(12, direction="left", stride=2)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return tokenizer


def added_tokens() -> Tokenizer:
    """Tokens of several words, stripped neighbours, whole words only, and a special one with a space."""
    tokenizer = tiny_models.tokenizer("wordpiece")
    tokenizer.add_tokens(
        [
            "return value",
            AddedToken("the function", normalized=True),
            AddedToken("object", single_word=True, normalized=False),
            AddedToken("Größe", lstrip=True, rstrip=True),
        ]
    )
    tokenizer.add_special_tokens([AddedToken("<end of text>", special=True), "[SEP]"])
    return tokenizer


@cache
def _sentencepiece() -> Any:
    """A model trained by SentencePiece, with the character map of its default normalizer."""
    model = io.BytesIO()
    texts = [
        *paragraphs(1500),
        "naïve café ﬁne Straße",
        "日本語のテキスト",
        "Русский текст",
        "ｆｕｌｌ　ｗｉｄｔｈ",
    ]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_writer=model, vocab_size=700, model_type="unigram", minloglevel=2
    )
    proto: Any = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]  # made at import
    proto.ParseFromString(model.getvalue())
    return proto


def unigram_sentencepiece() -> Tokenizer:
    """Unigram as T5 and ALBERT have it: the character map, then Metaspace over the whole text."""
    proto = _sentencepiece()
    pieces = [(piece.piece, piece.score) for piece in proto.pieces]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=proto.trainer_spec.unk_id))
    charsmap = normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap)
    tokenizer.normalizer = normalizers.Sequence([charsmap, normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return tokenizer


def unigram_xlmr() -> Tokenizer:
    """Unigram as XLM-RoBERTa has it: shifted ids, pad id 1, WhitespaceSplit before Metaspace."""
    proto = _sentencepiece()
    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces += [(piece.piece, piece.score) for piece in proto.pieces[3:]]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3))
    tokenizer.normalizer = normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>"])
    tokenizer.enable_padding(pad_id=1, pad_token="<pad>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


def bpe_byte_level() -> Tokenizer:
    """Byte-level BPE as GPT-2 and RoBERTa have it: no unknown token, a post-processor for offsets."""
    tokenizer = tiny_models.tokenizer("bpe")
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    return tokenizer


def bpe_sentencepiece() -> Tokenizer:
    """BPE as Mistral and Gemma have it: Metaspace, unknown characters as bytes, an unknown token."""
    unk, pad = "<unk>", "<pad>"
    tokenizer = Tokenizer(models.BPE(unk_token=unk, fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=900, special_tokens=[unk, pad], show_progress=False)
    tokenizer.train_from_iterator(paragraphs(1000), trainer)
    state = json.loads(tokenizer.to_str())
    vocabulary = state["model"]["vocab"]
    vocabulary.update({f"<0x{byte:02X}>": len(vocabulary) + byte for byte in range(256)})
    return Tokenizer.from_str(json.dumps(state))


def _model(tokenizer: Tokenizer, **options: Any) -> StaticModel:
    return tiny_models.model(tokenizer=tokenizer, **options)


def _saved(build: Callable[[], StaticModel], **config: Any) -> Callable[[Path], Path]:
    """Write a model in model2vec's layout; `config` replaces entries, `...` removes them."""

    def write(folder: Path) -> Path:
        build().save_pretrained(folder)
        path = folder / "config.json"
        stored = {**json.loads(path.read_text()), **config}
        path.write_text(json.dumps({name: value for name, value in stored.items() if value is not ...}))
        return folder

    return write


def _tokenizer_case(name: str, tokenizer: Callable[[], Tokenizer], **options: Any) -> Case:
    return Case(name, _saved(lambda: _model(tokenizer(), **options)))


def _uncased() -> Tokenizer:
    return tiny_models.tokenizer("wordpiece")


def _vocabulary_quantized(dtype: str, normalize: bool) -> StaticModel:
    rng = np.random.default_rng(1)
    tokenizer = unigram_xlmr()
    size = tokenizer.get_vocab_size()
    table = tiny_models.vectors(64) * (30 if dtype == "int8" else 1)
    return _model(
        tokenizer,
        vectors=table.astype(dtype),
        token_mapping=rng.integers(0, 64, size),
        weights=rng.random(size).astype(np.float32),
        normalize=normalize,
    )


def _int8() -> StaticModel:
    from model2vec.model import quantize_model

    return quantize_model(_model(bpe_byte_level(), normalize=False), quantize_to="int8")


def _mapping_only() -> StaticModel:
    tokenizer = _uncased()
    mapping = np.arange(tokenizer.get_vocab_size()) % 100
    return _model(tokenizer, vectors=tiny_models.vectors(100), token_mapping=mapping.astype(np.int32))


def _weights_only() -> StaticModel:
    tokenizer = _uncased()
    return _model(tokenizer, weights=np.linspace(0.01, 3, tokenizer.get_vocab_size(), dtype=np.float32))


def _subfolder(folder: Path) -> Path:
    _saved(lambda: _model(_uncased()))(folder / "inner")
    return folder


# These differ in their tokenizer, the others in their table, their options or their layout.
TOKENIZER_CASES = [
    _tokenizer_case("WordPiece, uncased", _uncased),
    _tokenizer_case("WordPiece, cased", wordpiece_cased),
    _tokenizer_case("WordPiece, stored padding, truncation, template", stored_settings),
    _tokenizer_case("WordPiece, added tokens of several words", added_tokens),
    _tokenizer_case("Unigram, SentencePiece charsmap, Metaspace", unigram_sentencepiece),
    _tokenizer_case("Unigram, XLM-R style, pad id 1", unigram_xlmr),
    _tokenizer_case("BPE, byte-level, no UNK", bpe_byte_level),
    _tokenizer_case("BPE, SentencePiece style, bytes for unknown characters", bpe_sentencepiece),
    _tokenizer_case("WordLevel", lambda: tiny_models.tokenizer("wordlevel")),
]
CASES = [
    *TOKENIZER_CASES,
    _tokenizer_case("float16 table", _uncased, dtype="float16"),
    _tokenizer_case("float64 table", _uncased, dtype="float64"),
    Case("int8 table (model2vec's), not normalized", _saved(_int8)),
    Case("vocabulary-quantized, float32", _saved(lambda: _vocabulary_quantized("float32", True))),
    Case(
        "vocabulary-quantized, float16, not normalized",
        _saved(lambda: _vocabulary_quantized("float16", False)),
    ),
    Case("vocabulary-quantized, int8", _saved(lambda: _vocabulary_quantized("int8", True))),
    Case("mapping without weights", _saved(_mapping_only)),
    Case("weights without mapping", _saved(_weights_only)),
    Case("dim cut", _saved(lambda: _model(_uncased())), {"dim": 7}, {"dimensionality": 7}),
    Case("normalize off", _saved(lambda: _model(_uncased())), {"normalize": False}, {"normalize": False}),
    Case("normalize absent", _saved(lambda: _model(_uncased()), normalize=...)),
    Case("max_length absent", _saved(lambda: _model(_uncased()), max_length=...)),
    Case("max_length 3", _saved(lambda: _model(unigram_xlmr(), max_length=3))),
    Case("max_length 5, byte-level", _saved(lambda: _model(bpe_byte_level(), max_length=5))),
    Case("max_length null", _saved(lambda: _model(_uncased(), max_length=None))),
    Case("max_length null, Unigram", _saved(lambda: _model(unigram_sentencepiece(), max_length=None))),
    Case("max_length null, byte-level", _saved(lambda: _model(bpe_byte_level(), max_length=None))),
    Case(
        "layout of sentence-transformers", lambda f: tiny_models.save_sentence_transformers(f, nested=False)
    ),
    Case("layout 0_StaticEmbedding", lambda f: tiny_models.save_sentence_transformers(f, nested=True)),
    Case("subfolder", _subfolder, {"subfolder": "inner"}),
]


def _projector(
    *hidden: int, tokenizer: Callable[[], Tokenizer] = _uncased, **options: Any
) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        built = pipeline("regressor", hidden, outputs=32, tokenizer=tokenizer(), **options)
        built.save_pretrained(str(folder))
        return folder

    return write


PROJECTOR_CASES = [
    ProjectorCase("projector, one layer", _projector()),
    ProjectorCase("projector, hidden layers", _projector(64, 48)),
    ProjectorCase("projector, not normalized", _projector(64, normalize=False)),
    ProjectorCase("projector, Unigram", _projector(64, tokenizer=unigram_xlmr)),
    ProjectorCase("projector, max_length 3", _projector(64, max_length=3)),
]
