"""Proving that a compiled vocabulary gives the token ids of its tokenizer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain

from tokenizers import Tokenizer

from portvec._artifact import format as fmt
from portvec._itertools import batched
from portvec._tokenization.compiled import CompiledLearner
from portvec._tokenization.word_cache import WordEncoder
from portvec._vocabulary.file import VocabularyFile, read_vocabulary
from portvec._vocabulary.models import PieceModel, open_model
from portvec_export._vocabulary.errors import NotCompilable

_BATCH = 10_000
# Pieces that are searched one by one too, and characters of a text whose words are: that takes longer.
_ALONE = 2_000
_LONGEST = 2_000
# Private-use characters, which hardly any vocabulary has.
_UNKNOWN = [chr(code) for code in range(0x10FF00, 0x10FFFE)]


def check_ids(content: bytes, tokenizer: Tokenizer, texts: Sequence[str]) -> None:
    """Compare the ids of a compiled vocabulary, which is the content of a file, with those of its tokenizer.

    That is done for `texts`, for each piece, and for each character that a piece has.

    Raises:
        NotCompilable: they differ.
    """
    file = read_vocabulary(content, fmt.VOCABULARY)
    _check_pieces(open_model(file), tokenizer)
    with untruncated(tokenizer):
        _check_texts(file, tokenizer, texts)


def _check_pieces(model: PieceModel, tokenizer: Tokenizer) -> None:
    """Compare the ids of pieces, and of characters that pieces have and do not have."""
    pieces = tokenizer.get_vocab(with_added_tokens=False)
    characters = set(chain.from_iterable(pieces))
    # In order, because words that begin alike are searched in parts of the memory that are in the cache.
    words = [word for word in sorted({*pieces, *characters, *_UNKNOWN}) if word]
    step = -(-len(words) // _ALONE)
    tokenize = tokenizer.model.tokenize
    for batch in batched(words, _BATCH):
        expected = [[token.id for token in tokenize(word)] for word in batch]
        alone = [model.encode_one(word) for word in batch[::step]]
        if model.encode(batch).lists() != expected or alone != expected[::step]:
            raise NotCompilable("some of its pieces would get other ids")


def _check_texts(file: VocabularyFile, tokenizer: Tokenizer, texts: Sequence[str]) -> None:
    """Compare the ids of texts, together and word by word."""
    learner = CompiledLearner(file)
    encoder = WordEncoder("", learner, learner.rules, min_bytes=0, max_unknown=2.0)
    expected = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    if encoder.encode(texts).lists() != expected:
        raise NotCompilable("some texts would get other ids")
    for text, ids in zip(texts, expected, strict=True):
        if len(text) <= _LONGEST and not any(part in text for part in learner.rules.uncuttable):
            found = [learner.find_ids(word) for word in learner.rules.cut_one(text)]
            known = [each for each in found if each is not None]
            if len(known) == len(found) and list(chain.from_iterable(known)) != ids:
                raise NotCompilable("some texts would get other ids")


@contextmanager
def untruncated(tokenizer: Tokenizer) -> Iterator[None]:
    """Let a tokenizer give all ids of a text, and no others, for a while."""
    truncation, padding = tokenizer.truncation, tokenizer.padding
    tokenizer.no_truncation()
    tokenizer.no_padding()
    try:
        yield
    finally:
        if truncation is not None:
            tokenizer.enable_truncation(**truncation)
        if padding is not None:
            tokenizer.enable_padding(**padding)
