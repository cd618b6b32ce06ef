"""Every call of the `tokenizers` library.

No other module of the runtime imports it, so another version of the library changes nothing but this one. Any
call may raise any exception, or panic, because the library reads a file that may be damaged.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from tokenizers import AddedToken, Tokenizer
from tokenizers.models import WordPiece

__all__ = ["Tokenizer"]


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


def list_added_tokens(tokenizer: Tokenizer) -> list[AddedToken]:
    """Return the tokens that texts are split at."""
    return list(tokenizer.get_added_tokens_decoder().values())


def longest_word(tokenizer: Tokenizer) -> int | None:
    """Return how many characters a word may have before WordPiece calls it unknown; None for other models."""
    model = tokenizer.model
    return model.max_input_chars_per_word if isinstance(model, WordPiece) else None


def list_normalizers(tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """Return the steps of the normalizer, in order, in the form of tokenizer.json."""
    return _list(tokenizer.normalizer, "normalizers")


def list_pre_tokenizers(tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """Return the steps of the pre-tokenizer, in order, in the form of tokenizer.json."""
    return _list(tokenizer.pre_tokenizer, "pretokenizers")


def normalize_with(tokenizer: Tokenizer) -> Callable[[str], str]:
    """Return the function that normalizes a text for this tokenizer."""
    normalizer = tokenizer.normalizer  # each access creates a new object
    return str if normalizer is None else normalizer.normalize_str


def depends_on_position(tokenizer: Tokenizer) -> bool:
    """Return whether text at the start is tokenized differently from text after an added token."""
    return any(part.get("prepend_scheme") == "first" for part in list_pre_tokenizers(tokenizer))


def _list(component: Any, children: str) -> list[dict[str, Any]]:
    if component is None:
        return []
    state: dict[str, Any] = json.loads(component.__getstate__())
    return list(_flatten(state, children))


def _flatten(state: dict[str, Any], children: str) -> Iterable[dict[str, Any]]:
    if state["type"] != "Sequence":
        yield state
    for part in state.get(children, ()):
        yield from _flatten(part, children)
