"""Writing portvec.vocabulary into an artifact, or the reason why it has none."""

from __future__ import annotations

from pathlib import Path

from portvec._artifact import format as fmt
from portvec._artifact.manifest import TokenizerFacts
from portvec._python_docs import read_language_reference
from portvec_export._sidecars.conformance_texts import list_conformance_texts
from portvec_export._source.model import SourceModel
from portvec_export._vocabulary.compile import compile_vocabulary
from portvec_export._vocabulary.errors import NotCompilable

# Paragraphs of Python's language reference that the compiled tokenizer is proven on.
_PARAGRAPHS = 300


def write_vocabulary(folder: Path, source: SourceModel) -> TokenizerFacts:
    """Compile the tokenizer of a model into a file of the artifact. Say why if that is not possible."""
    tokenizer = source.original.tokenizer
    model = type(tokenizer.model).__name__
    recorded = list_conformance_texts(source.rules.max_length, source.rules.max_characters)
    try:
        content = compile_vocabulary(tokenizer, [*recorded, *read_language_reference()[:_PARAGRAPHS]])
    except NotCompilable as why:
        return TokenizerFacts(model, str(why))
    (folder / fmt.VOCABULARY).write_bytes(content)
    return TokenizerFacts(model)
