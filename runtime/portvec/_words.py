"""`tokenizers` with a cache of words: words repeat, so few are tokenized twice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tokenizers import Tokenizer as HuggingFaceTokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from portvec._encoders import PlainEncoder
from portvec._tokens import Ids, TokenIds, offsets_of
from portvec._word_table import LONGEST, WordTable

_PUNCTUATION = b"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
# Fewer bytes than this are tokenized sooner than looked up.
_MIN_BYTES = 1500
# Where words that the table lacks make up more than this share of the bytes, whole texts are tokenized sooner.
_MAX_UNKNOWN = 0.5


class WordEncoder:
    """Looks up the ids of words, and has those that it lacks tokenized once.

    Words end at ASCII white space and punctuation, and each punctuation mark is one: exact only where
    `splits_into_words` says so.
    """

    name = "tokenizers, caching words"

    def __init__(self, plain: PlainEncoder) -> None:
        self._plain = plain
        tokenizer = plain.tokenizer
        lowercase = tokenizer.normalizer.lowercase
        # White space is alike to the tokenizer, and so are NUL and U+0001, which it drops.
        changed = {"\t": " ", "\n": " ", "\r": " ", "\0": "\1"}
        if lowercase:
            changed |= {chr(code): chr(code).lower() for code in range(ord("A"), ord("Z") + 1)}
        self._fold = bytes(ord(changed.get(chr(code), chr(code))) for code in range(256))
        added = tokenizer.get_added_tokens_decoder().values()
        self._literals = [token.content.encode() for token in added]
        self._lowercase = lowercase
        self._table: WordTable | None = None

    def encode(self, texts: Sequence[str]) -> TokenIds:
        """See `Encoder`."""
        encoded = [text.encode() for text in texts]
        joined = b" ".join(encoded)
        if len(joined) < _MIN_BYTES:
            return self._plain.encode(texts)
        if any(literal in joined for literal in self._literals):
            return self._around_literals(texts, encoded)
        ids = self._encode(joined, offsets_of(np.fromiter(map(len, encoded), np.int64, len(encoded)) + 1))
        return self._plain.encode(texts) if ids is None else ids

    def _around_literals(self, texts: Sequence[str], encoded: list[bytes]) -> TokenIds:
        """Tokenize whole those texts that hold an added token, which may be made of several words."""
        whole = np.array([any(literal in text for literal in self._literals) for text in encoded])
        lengths = np.empty(len(texts), dtype=np.int64)
        parts = []
        for flag, encode in ((True, self._plain.encode), (False, self.encode)):
            tokens = encode([texts[row] for row in np.flatnonzero(whole == flag)])
            lengths[whole == flag] = np.diff(tokens.offsets)
            parts.append(tokens.ids)
        from_whole = np.repeat(whole, lengths)
        ids = np.empty(len(from_whole), dtype=np.int64)
        ids[from_whole], ids[~from_whole] = parts
        return TokenIds(ids, offsets_of(lengths))

    def _encode(self, joined: bytes, bounds: Ids) -> TokenIds | None:
        """Return the ids of texts that begin at `bounds`; None if too few words are known."""
        text = joined.translate(self._fold) + b" " * LONGEST
        starts, lengths = _words(text)
        table = self._table or self._new_table()
        places = table.find(text, starts, lengths)
        unknown = np.flatnonzero(places == 0)
        if len(unknown):
            first, last = starts[unknown], starts[unknown] + lengths[unknown]
            words = [text[start:stop] for start, stop in zip(first.tolist(), last.tolist(), strict=True)]
            index = dict.fromkeys(words)
            if sum(map(len, index)) > _MAX_UNKNOWN * len(joined):
                return None
            tokens = self._plain.encode_words([word.decode() for word in index])
            found = table.add(list(index), tokens)
            if found is None:  # full: start over; other threads go on with the one they hold
                self._table = None
                return self._encode(joined, bounds)
            index = dict(zip(index, found.tolist(), strict=True))
            places[unknown] = np.fromiter(map(index.__getitem__, words), np.int64, len(words))
        tokens = table.gather(places)
        return TokenIds(tokens.ids, tokens.offsets[np.searchsorted(starts, bounds)])

    def _new_table(self) -> WordTable:
        """Return a table that holds what needs no tokenizing: the words of the vocabulary."""
        tokenizer = self._plain.tokenizer
        known = {
            word.encode(): token_id
            for word, token_id in tokenizer.get_vocab(with_added_tokens=False).items()
            if word.isascii() and word.isalnum() and len(word) <= LONGEST
            and not (self._lowercase and word != word.lower())
        }
        table = WordTable()
        marks = [_PUNCTUATION[place : place + 1] for place in range(len(_PUNCTUATION))]
        table.add(marks, self._plain.encode([mark.decode() for mark in marks]))
        ids = np.fromiter(known.values(), np.int64, len(known))
        table.add(list(known), TokenIds(ids, np.arange(len(ids) + 1)))
        self._table = table
        return table


def splits_into_words(tokenizer: HuggingFaceTokenizer) -> bool:
    """Tell whether the ids of a text are those of its words, one after another.

    So it is for WordPiece under BERT's normalizer and pre-tokenizer: the normalizer maps each character by
    itself, the pre-tokenizer drops white space, splits off punctuation and joins nothing. Added tokens are
    looked for in the text before that; those that are matched in normalized text instead rule it out.
    """
    normalizer, model = tokenizer.normalizer, tokenizer.model
    return (
        isinstance(normalizer, BertNormalizer)
        and normalizer.clean_text
        and isinstance(tokenizer.pre_tokenizer, BertPreTokenizer)
        and isinstance(model, WordPiece)
        and model.max_input_chars_per_word >= LONGEST
        and not any(token.normalized for token in tokenizer.get_added_tokens_decoder().values())
    )


_KINDS = bytes(2 if code in _PUNCTUATION else code != ord(" ") for code in range(256))


def _words(text: bytes) -> tuple[Ids, Ids]:
    """Return starts and lengths of the words of a text that ends with a space."""
    kinds = np.frombuffer(text.translate(_KINDS), dtype=np.uint8)
    mark, inside = kinds == 2, kinds == 1
    begins, ends = mark.copy(), mark.copy()
    begins[:1] |= inside[:1]
    begins[1:] |= inside[1:] & ~inside[:-1]
    ends[:-1] |= inside[:-1] & ~inside[1:]
    starts = np.flatnonzero(begins)
    return starts, np.flatnonzero(ends) - starts + 1
