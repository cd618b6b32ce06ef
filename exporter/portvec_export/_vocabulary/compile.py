"""Compiling a tokenizer, and proving that what was compiled gives its token ids."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tokenizers import Tokenizer

from portvec._artifact.files import JSON_LIMIT
from portvec._tokenization.library import describe_parts, read_parts
from portvec._tokenization.proven_cuts import find_cutting_rules
from portvec._vocabulary.file import pack_vocabulary
from portvec_export._vocabulary.added_tokens import find_ambiguity
from portvec_export._vocabulary.errors import NotCompilable
from portvec_export._vocabulary.models import compile_model
from portvec_export._vocabulary.preparation import compile_preparation
from portvec_export._vocabulary.proof import check_ids


def compile_vocabulary(
    tokenizer: Tokenizer, texts: Sequence[str], characters: frozenset[str] | None = None
) -> bytes:
    """Return the content of portvec.vocabulary, which gives the ids of `tokenizer`.

    They are compared with those of `tokenizers` on `texts`, on every piece of the vocabulary, and on every
    character that Unicode assigns. Words with characters that are not among `characters`, unless that is
    None, are left to `tokenizers`.

    Raises:
        NotCompilable: the tokenizer has something that cannot be done exactly.
    """
    if find_cutting_rules(describe_parts(tokenizer)) is None:
        raise NotCompilable("no rule is proven for cutting texts under its normalizer and pre-tokenizer")
    parts = read_parts(tokenizer)
    ambiguity = find_ambiguity(parts)
    if ambiguity is not None:
        raise NotCompilable(ambiguity)
    model, arrays = compile_model(tokenizer)
    facts, further = compile_preparation(
        json.dumps(parts["normalizer"]), json.dumps(parts["pre_tokenizer"]), characters
    )
    content = pack_vocabulary({"tokenizer": parts, "model": model, **facts}, {**arrays, **further})
    if len(content) > JSON_LIMIT:  # a runtime refuses it, as it refuses a tokenizer.json of that size
        raise NotCompilable(f"it would have {len(content):,} bytes, more than {JSON_LIMIT:,}")
    check_ids(content, tokenizer, texts)
    return content
