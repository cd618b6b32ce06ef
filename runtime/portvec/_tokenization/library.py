"""Every call of the `tokenizers` library.

No other module of the runtime imports it, so another version of the library changes nothing but this one. Any
call may raise any exception, or panic, because the library reads a file that may be damaged.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tokenizers import AddedToken, Tokenizer
from tokenizers.models import WordPiece

from portvec._tokenization.forks import disable_pool_after_fork
from portvec._tokenization.preparation import Preparation

__all__ = ["Tokenizer"]

disable_pool_after_fork()

# What tokenizer.json says of an added token, besides its id.
_ADDED_TOKEN = ("content", "single_word", "lstrip", "rstrip", "normalized", "special")


def load(content: bytes) -> Tokenizer:
    """Load tokenizer.json without its truncation and its padding, which would change the mean."""
    tokenizer = Tokenizer.from_buffer(content)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def encode(tokenizer: Tokenizer, texts: Sequence[str], *, parallel: bool) -> Iterator[list[int]]:
    """Yield the ids of each text, without special tokens around them.

    `parallel` allows the library's own pool of threads.
    """
    if parallel and len(texts) > 1:
        return (encoding.ids for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False))
    # This is a little slower, but stays in this thread.
    return (tokenizer.encode(text, add_special_tokens=False).ids for text in texts)


def pre_tokenize(
    tokenizer: Tokenizer, texts: Sequence[str], *, parallel: bool
) -> Iterator[tuple[list[int], list[str]]]:
    """Yield the ids and the tokens of each text, without special tokens around them."""
    if parallel and len(texts) > 1:
        # encode_batch_fast returns tokens without their text.
        encodings = iter(tokenizer.encode_batch(texts, add_special_tokens=False))
    else:
        encodings = (tokenizer.encode(text, add_special_tokens=False) for text in texts)
    return ((encoding.ids, encoding.tokens) for encoding in encodings)


def add_separator(tokenizer: Tokenizer, character: str) -> None:
    """Add a token that texts are split at before anything else happens to them."""
    tokenizer.add_special_tokens([AddedToken(character, normalized=False, special=True)])


def find_id(tokenizer: Tokenizer, token: str) -> int | None:
    """Return the id of a token; None if there is no such token."""
    return tokenizer.token_to_id(token)


def read_vocabulary(tokenizer: Tokenizer, *, with_added: bool = True) -> dict[str, int]:
    """Return the id of each token."""
    return tokenizer.get_vocab(with_added_tokens=with_added)


def longest_word(tokenizer: Tokenizer) -> int | None:
    """Return how many characters a word may have before WordPiece calls it unknown; None for other models."""
    model = tokenizer.model
    return model.max_input_chars_per_word if isinstance(model, WordPiece) else None


def normalize_with(tokenizer: Tokenizer) -> Callable[[str], str]:
    """Return the function that normalizes a text for this tokenizer."""
    normalizer = tokenizer.normalizer  # each access creates a new object
    return str if normalizer is None else normalizer.normalize_str


def read_parts(tokenizer: Tokenizer) -> dict[str, Any]:
    """Return the normalizer, the pre-tokenizer and the added tokens, as tokenizer.json would have them.

    The id of an added token is the one that it has here.
    """
    return {
        "normalizer": _state(tokenizer.normalizer),
        "pre_tokenizer": _state(tokenizer.pre_tokenizer),
        "added_tokens": [
            {"id": token_id, **{name: getattr(token, name) for name in _ADDED_TOKEN}}
            for token_id, token in tokenizer.get_added_tokens_decoder().items()
        ],
    }


def describe_parts(tokenizer: Tokenizer) -> Preparation:
    """Return what a tokenizer does to a text before its model gets words."""
    return Preparation.of(read_parts(tokenizer), normalize_with(tokenizer))


def _state(component: Any) -> Any:
    return None if component is None else json.loads(component.__getstate__())
