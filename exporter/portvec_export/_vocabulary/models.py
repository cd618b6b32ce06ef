"""Compiling the model of a tokenizer: facts and arrays for the classes of portvec._vocabulary."""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import Unigram, WordLevel, WordPiece

from portvec._vocabulary.unigram import LARGEST_SCORE
from portvec_export._vocabulary.errors import NotCompilable
from portvec_export._vocabulary.merges import compile_bpe
from portvec_export._vocabulary.pieces import Arrays, Facts, compile_bytes, compile_trie

if TYPE_CHECKING:
    import numpy.typing as npt


def compile_model(tokenizer: Tokenizer) -> tuple[Facts, Arrays]:
    """Return what `open_model` needs to give the ids of a tokenizer's model: the facts "model", and arrays.

    Raises:
        NotCompilable: the model has something that cannot be done exactly.
    """
    name = type(tokenizer.model).__name__
    compilers: dict[str, Callable[[Tokenizer], tuple[Facts, Arrays]]] = {
        "BPE": compile_bpe,
        "Unigram": _compile_unigram,
        "WordLevel": _compile_wordlevel,
        "WordPiece": _compile_wordpiece,
    }
    if name not in compilers:
        raise NotCompilable(f"its model is a {name}")
    facts, arrays = compilers[name](tokenizer)
    return {"type": name, **facts}, arrays


class UnigramModel(NamedTuple):
    """What a Unigram model computes with.

    Attributes:
        unk_id: of the unknown token.
        byte_fallback: whether unknown characters are spelled in tokens for bytes.
        pieces: the id of each.
        scores: float64 (ids,), of each id.
    """

    unk_id: int
    byte_fallback: bool
    pieces: dict[str, int]
    scores: npt.NDArray[np.float64]


def read_unigram(tokenizer: Tokenizer) -> UnigramModel:
    """Return what the Unigram model of a tokenizer computes with.

    Raises:
        NotCompilable: the model has something that cannot be done exactly.
    """
    model = tokenizer.model
    assert isinstance(model, Unigram)
    state, pieces, scores = _read_state(str(model.__getstate__(), "utf-8"))
    if state["unk_id"] is None:
        raise NotCompilable("its Unigram has no unknown token")
    if getattr(model, "alpha", None):
        raise NotCompilable("its Unigram samples")
    if not all(-LARGEST_SCORE <= score <= LARGEST_SCORE for score in scores):
        raise NotCompilable(f"its Unigram has scores beyond {LARGEST_SCORE}")
    return UnigramModel(state["unk_id"], bool(state.get("byte_fallback", False)), pieces, np.array(scores))


def _compile_unigram(tokenizer: Tokenizer) -> tuple[Facts, Arrays]:
    model = read_unigram(tokenizer)
    facts = {"unk_id": model.unk_id, "byte_fallback": model.byte_fallback}
    arrays = {**compile_trie(model.pieces), "score": model.scores}
    if model.byte_fallback:
        arrays |= compile_bytes(model.pieces)
    return facts, arrays


def _read_state(text: str) -> tuple[Facts, dict[str, int], array[float]]:
    """Return the fields of a Unigram model, the id of each piece, and the score of each id.

    Sums depend on each bit of a score. What the library computes with is not always the number in
    tokenizer.json: its parser may be off by the last bit. It writes its state exactly, though, and Python
    reads that exactly. Pieces are read one by one: parsed at once, half a million of them take 150 MB.
    """
    pieces: dict[str, int] = {}
    scores = array("d")
    decoder = json.JSONDecoder()
    name = '"vocab":['  # in a string, a backslash would be before each quote
    start = stop = text.index(name) + len(name)
    while text[stop] != "]":
        (piece, score), stop = decoder.raw_decode(text, stop + (text[stop] == ","))
        pieces[piece] = len(scores)  # of two pieces with the same text, the library finds the last
        scores.append(math.nan if score is None else score)
    return json.loads(text[:start] + text[stop:]), pieces, scores


def _compile_wordpiece(tokenizer: Tokenizer) -> tuple[Facts, Arrays]:
    model = tokenizer.model
    assert isinstance(model, WordPiece)
    pieces = tokenizer.get_vocab(with_added_tokens=False)
    facts = {
        "unk_id": _find_unknown(model.unk_token, pieces, "WordPiece"),
        "max_input_chars_per_word": model.max_input_chars_per_word,
        "continuing_subword_prefix": model.continuing_subword_prefix,
    }
    return facts, compile_trie(pieces)


def _compile_wordlevel(tokenizer: Tokenizer) -> tuple[Facts, Arrays]:
    model = tokenizer.model
    assert isinstance(model, WordLevel)
    pieces = tokenizer.get_vocab(with_added_tokens=False)
    return {"unk_id": _find_unknown(model.unk_token, pieces, "WordLevel")}, compile_trie(pieces)


def _find_unknown(token: str, pieces: Mapping[str, int], model: str) -> int:
    if token not in pieces:  # the library fails on unknown words
        raise NotCompilable(f"the unknown token of its {model} is not in the vocabulary")
    return pieces[token]
