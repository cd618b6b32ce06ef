"""From words to token ids, as the model of a tokenizer does it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Final, Protocol

from portvec._vocabulary.file import VocabularyFile
from portvec._vocabulary.token_ids import TokenIds

# The module of each type of model, which has a class of that name.
_MODULES: Final = {
    "BPE": "portvec._vocabulary.bpe",
    "Unigram": "portvec._vocabulary.unigram",
    "WordLevel": "portvec._vocabulary.wordlevel",
    "WordPiece": "portvec._vocabulary.wordpiece",
}


class PieceModel(Protocol):
    """A model of a tokenizer: ids are those that the model of the `tokenizers` library gives for a word.

    Words are what is left after normalizing and pre-tokenizing. They are not empty.
    """

    def encode(self, words: Sequence[str]) -> TokenIds:
        """Return the ids of many words."""

    def encode_one(self, word: str) -> list[int]:
        """Return the ids of one word, in the least time."""


def open_model(file: VocabularyFile) -> PieceModel:
    """Return the model in a file. It reads the arrays of the file where they are.

    Raises:
        ArtifactError: the file has no model of a known type, or not the arrays and facts that it needs.
    """
    name = file.fields("model").get("type", str)
    if name not in _MODULES:
        raise file.error(f"the model is of type {name!r}, expected {', '.join(_MODULES)}")
    model: PieceModel = getattr(import_module(_MODULES[name]), name)(file)
    return model
