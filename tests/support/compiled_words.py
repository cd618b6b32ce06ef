"""A character map and a pre-tokenizer, as they are compiled for a tokenizer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from portvec._vocabulary.characters import CharacterMap
from portvec._vocabulary.file import pack_vocabulary, read_vocabulary
from portvec._vocabulary.pre_tokens import PreTokenizer, open_pre_tokenizer
from portvec_export._vocabulary.characters import probe_characters
from portvec_export._vocabulary.kinds import probe_kinds


class Words(NamedTuple):
    """What normalizes and splits words. There is no pre-tokenizer where only `tokenizers` can do it."""

    characters: CharacterMap
    pre_tokenizer: PreTokenizer | None


def compile_words(tokenizer: Mapping[str, Any], characters: Collection[str] | None = None) -> Words:
    """Compile the normalizer and the pre-tokenizer of a tokenizer.json.

    If `characters` are given, other characters are not mapped.
    """
    facts, arrays = probe_characters(tokenizer, characters)
    if characters is not None:  # and what they become, also in the steps of a pre-tokenizer
        images = arrays["map_text"].astype("<u4").tobytes().decode("utf-32-le")
        characters = {*characters, *images, *map(chr, range(0x180)), "\u2581"}
    arrays.update(probe_kinds(tokenizer, characters))
    facts["tokenizer"] = {name: tokenizer[name] for name in ("normalizer", "pre_tokenizer", "added_tokens")}
    file = read_vocabulary(pack_vocabulary(facts, arrays), "vocabulary")
    return Words(CharacterMap(file), open_pre_tokenizer(file))
