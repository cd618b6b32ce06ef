"""What `tokenizers` does apart from its model: normalizing, pre-tokenizing, and finding added tokens.

The model is replaced by one that knows no character. Unigram gives a run of unknown characters as one token,
whose text is the run itself. So each token is a pre-token, and nothing of it is lost.
"""

from __future__ import annotations

import json
from binascii import a2b_base64
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from portvec._tokenization.runs import split_runs
from portvec._vocabulary.characters import SEPARATOR
from portvec._vocabulary.components import Component, depends_on_position, list_steps
from portvec._vocabulary.locks import loading
from portvec._vocabulary.token_ids import Ids, offsets_of

if TYPE_CHECKING:
    from portvec._tokenization.library import Tokenizer

# Its only piece is empty, which matches nothing.
_NO_MODEL = {"type": "Unigram", "unk_id": 0, "vocab": [["", 0.0]], "byte_fallback": False}


class PreTokens(NamedTuple):
    """The pre-tokens of n texts, and the added tokens between them.

    Attributes:
        words: the distinct pre-tokens, none of them empty.
        items: int64 (total,), for all texts, in order: the index of a pre-token in `words`, or `~id` for the
            added token with this id, which is negative.
        offsets: int64 (n + 1,), text i has `items[offsets[i]:offsets[i + 1]]`.
    """

    words: list[str]
    items: Ids
    offsets: Ids


class Skeleton:
    """Hugging Face's normalizer, pre-tokenizer and added tokens without a vocabulary.

    `facts` has the entries "normalizer", "pre_tokenizer" and "added_tokens" as a loaded tokenizer writes them
    to tokenizer.json: the id of an added token is the one that `tokenizers` gives it. `parallel` allows its
    own pool of threads. Nothing is loaded before it is needed.

    Raises:
        ValueError: a charsmap is cut short.
    """

    def __init__(self, facts: Mapping[str, Any], *, parallel: bool = False) -> None:
        _check_charsmaps(facts["normalizer"])
        self._facts = facts
        self._parallel = parallel
        # The library passes over tokens without content.
        self._added = {token["content"]: token["id"] for token in facts["added_tokens"] if token["content"]}
        # Joined texts are what they are alone unless a step looks at where in the text it is.
        self._is_joinable = not any(SEPARATOR in content for content in self._added)
        self._is_joinable &= not depends_on_position(list_steps(facts["pre_tokenizer"]))
        self._joined: _Loaded | None = None
        self._alone: _Loaded | None = None

    def split(self, texts: Sequence[str]) -> PreTokens:
        """Return the pre-tokens and added tokens of each text by itself."""
        if not texts:
            return PreTokens([], np.zeros(0, dtype=np.int64), np.zeros(1, dtype=np.int64))
        if len(texts) > 1 and self._is_joinable and not any(SEPARATOR in text for text in texts):
            return self._split_joined(texts)
        return self._without_separator.split(texts, parallel=self._parallel)

    def normalize(self, text: str) -> str:
        """Return the normalized text, as if there were no added tokens."""
        return self._without_separator.normalize(text)

    def _split_joined(self, texts: Sequence[str]) -> PreTokens:
        """Split texts with a separator between them: a call costs as much as several words."""
        if self._joined is None:
            self._joined = _load(self._facts, self._added, separator=SEPARATOR)
        runs = [SEPARATOR.join(texts[run]) for run in split_runs(texts)]
        words, items, offsets = self._joined.split(runs, parallel=self._parallel)
        # Add the separator after the last text of each run too, so that every text ends with one.
        items = np.insert(items, offsets[1:], _SEPARATOR_ITEM)
        is_end = items == _SEPARATOR_ITEM
        ends = np.flatnonzero(is_end)
        return PreTokens(words, items[~is_end], offsets_of(np.diff(ends, prepend=-1) - 1))

    @property
    def _without_separator(self) -> _Loaded:
        if self._alone is None:
            self._alone = _load(self._facts, self._added)
        return self._alone


_SEPARATOR_ITEM = np.iinfo(np.int64).min


def _check_charsmaps(normalizer: Component | None) -> None:
    """Refuse a charsmap whose trie is longer than the charsmap.

    The library reserves the memory for a trie before it reads one, and a process without so much memory ends.
    """
    for step in list_steps(normalizer):
        if step["type"] == "Precompiled":
            content = a2b_base64(step["precompiled_charsmap"])
            size = int.from_bytes(content[:4], "little")
            if size > len(content) - 4:
                raise ValueError(f"a charsmap of {len(content)} bytes says that its trie has {size}")


def _load(facts: Mapping[str, Any], added: Mapping[str, int], *, separator: str | None = None) -> _Loaded:
    """Load `tokenizers` and the skeleton. A lock of the library that is held at a fork would stay locked."""
    with loading():
        loaded = _Loaded(facts, added, separator=separator)
        # The library makes some of what it needs when it is first used.
        loaded.split(["a b"], parallel=False)
    return loaded


class _Loaded:
    """A tokenizer of the library with no model, and what its ids stand for."""

    def __init__(
        self, facts: Mapping[str, Any], added: Mapping[str, int], *, separator: str | None = None
    ) -> None:
        from portvec._tokenization import library

        state = {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "post_processor": None,
            "decoder": None,
            **{name: facts[name] for name in ("added_tokens", "normalizer", "pre_tokenizer")},
            "model": _NO_MODEL,
        }
        self._pre_tokenize = library.pre_tokenize
        self._tokenizer: Tokenizer = library.load(json.dumps(state).encode())
        if separator is not None:
            library.add_separator(self._tokenizer, separator)
        self.normalize: Callable[[str], str] = library.normalize_with(self._tokenizer)
        # Id of the skeleton -> item. Id 0 is the model's.
        ids = {library.find_id(self._tokenizer, content): ~number for content, number in added.items()}
        if separator is not None:
            ids[library.find_id(self._tokenizer, separator)] = _SEPARATOR_ITEM
        numbers = [number or 0 for number in ids]
        self._items = np.zeros(max(numbers, default=0) + 1, dtype=np.int64)
        self._items[numbers] = list(ids.values())

    def split(self, texts: Sequence[str], *, parallel: bool) -> PreTokens:
        """Return the pre-tokens and added tokens of each text."""
        index: dict[str, int] = {}
        items: list[Ids] = []
        for ids, tokens in self._pre_tokenize(self._tokenizer, texts, parallel=parallel):
            of_text = self._items[ids] if any(ids) else np.zeros(len(ids), dtype=np.int64)
            is_word = of_text == 0
            of_text[is_word] = [
                index.setdefault(token, len(index))
                for token, number in zip(tokens, ids, strict=True)
                if number == 0
            ]
            items.append(of_text)
        offsets = offsets_of(np.fromiter(map(len, items), np.int64, len(items)))
        return PreTokens(list(index), np.concatenate([np.zeros(0, np.int64), *items]), offsets)
