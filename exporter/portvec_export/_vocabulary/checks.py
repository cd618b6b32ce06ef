"""Proof, at export, that words get the pre-tokens that `tokenizers` gives them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import compress, islice, pairwise

import numpy as np

from portvec._tokenization.skeleton import Skeleton
from portvec._vocabulary.characters import ASK, CharacterMap, CharacterTable, decode
from portvec._vocabulary.file import VocabularyFile
from portvec._vocabulary.pre_tokens import open_pre_tokenizer
from portvec._vocabulary.token_ids import offsets_of
from portvec_export._vocabulary.normalizer_steps import list_assigned

_BATCH = 4096
_CHARACTERS = 16  # of a word


def list_hard_words(file: VocabularyFile) -> Iterator[str]:
    """Yield words that together have every character that the map of a vocabulary does not ask about."""
    table = CharacterTable(file.array("map_pages", "int32"), file.array("map_entries", "int32"))
    assigned = "".join(list_assigned())
    is_mapped = table.find(decode(assigned)) != ASK
    mapped = "".join(compress(assigned, is_mapped.tolist()))
    runs = [mapped[start : start + _CHARACTERS] for start in range(0, len(mapped), _CHARACTERS)]
    yield from runs
    # Spaces beside each other may have to be asked about.
    _, asked = CharacterMap(file).normalize(runs)
    for row in np.flatnonzero(asked).tolist():
        yield "a".join(["", *runs[row], ""])


def find_difference(file: VocabularyFile, words: Iterable[str]) -> str | None:
    """Return a word that the arrays of a vocabulary split differently from `tokenizers`; None if none is.

    Words that must be asked about are passed over.
    """
    characters, pre_tokenizer = CharacterMap(file), open_pre_tokenizer(file)
    skeleton = Skeleton({**file.facts["tokenizer"], "added_tokens": []})
    words = iter(words)
    while batch := list(islice(words, _BATCH)):
        normalized, asked = characters.normalize(batch)
        kept = np.flatnonzero(~asked).tolist()
        mapped, batch = [normalized[row] for row in kept], [batch[row] for row in kept]
        if pre_tokenizer is None:
            for word, image in zip(batch, mapped, strict=True):
                if skeleton.normalize(word) != image:
                    return word
            continue
        pieces, counts = pre_tokenizer.split(mapped)
        expected = skeleton.split(batch)
        found = pairwise(offsets_of(counts).tolist())
        for word, (start, stop), (first, last) in zip(
            batch, found, pairwise(expected.offsets.tolist()), strict=True
        ):
            if pieces[start:stop] != [expected.words[item] for item in expected.items[first:last].tolist()]:
                return word
    return None
