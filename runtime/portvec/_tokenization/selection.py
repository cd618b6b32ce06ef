"""Choosing the tokenizer backend that an artifact is run with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, NamedTuple

from portvec._artifact import format as fmt
from portvec._artifact.folder import Artifact
from portvec._artifact.manifest import Manifest
from portvec._failures import failures_become
from portvec._messages import describe_unknown
from portvec._tokenization.backends import ACCELERATORS, Accelerator
from portvec._tokenization.compiled import CompiledLearner
from portvec._tokenization.growing import GrowingEncoder
from portvec._tokenization.known_words import MOST_IDS, KnownWords
from portvec._tokenization.tokenizer import Encoder, Tokenizer
from portvec._tokenization.turns import TakingTurns
from portvec._tokenization.word_cache import WordEncoder
from portvec._vocabulary.file import read_vocabulary
from portvec._vocabulary.word_table import WordTable
from portvec.errors import ArtifactError, OptionError

AUTO: Final = "auto"
# The artifact's compiled vocabulary.
COMPILED: Final = "compiled"
# The library that is the reference for every other backend.
LIBRARY: Final = "tokenizers"
# The artifact's graph with text input, which `portvec._inference.text_tokenizer` opens.
GRAPH: Final = "graph"
# What that is called if words are cached.
CACHING: Final = "tokenizers, caching words"


def choose_tokenizer(
    artifact: Artifact,
    choice: str = AUTO,
    *,
    parallel: bool = False,
    at_once: bool = False,
    cache: int | None = None,
    accelerators: Mapping[str, Accelerator] = ACCELERATORS,
) -> Tokenizer:
    """Return the tokenizer asked for; for "auto" the fastest one that is installed and exact.

    An accelerator is used only if it gives the ids that the artifact recorded. If it does not, a warning is
    logged, and the compiled vocabulary or `tokenizers` does the work.

    Args:
        artifact: the artifact.
        choice: the name of a backend, or "auto".
        parallel: whether the backend may use a thread pool of its own, which has a thread for each core.
        at_once: whether to load the backend for many texts now. Otherwise, one that loads faster handles the
            first texts.
        cache: the most ids that caches of words keep; `IDS` if None.
        accelerators: the accelerators to choose from, by name.

    Raises:
        OptionError: the choice is unknown.
        MissingExtraError: the accelerator asked for is not installed.
        ArtifactError: the accelerator asked for does not give this artifact's ids, or the artifact has no
            compiled vocabulary, which was asked for, or a damaged one.
    """
    known = [AUTO, COMPILED, LIBRARY, *accelerators]
    if choice not in known:
        known.append(GRAPH)
        raise OptionError(describe_unknown("tokenizer", choice, known))
    if choice in accelerators:
        from portvec._tokenization.trial import require_accelerator

        return Tokenizer(require_accelerator(accelerators[choice], artifact, parallel=parallel), artifact)
    model = artifact.manifest.tokenizer.model
    candidates = [each for each in accelerators.values() if choice == AUTO and model in each.models]
    if choice in (AUTO, COMPILED) and fmt.VOCABULARY in artifact.manifest.files:
        own = _open_compiled(artifact, parallel, cache)
    elif choice == COMPILED:
        raise ArtifactError(
            f"{artifact.folder}: has no compiled vocabulary ({why_not_compiled(artifact.manifest)}); "
            f"use tokenizer={AUTO!r}"
        )
    else:
        own = _open_library(artifact, parallel, cache)

    def load_faster() -> Encoder:
        if candidates:
            from portvec._tokenization.trial import find_accelerator  # few programs need it

            found = find_accelerator(candidates, artifact, parallel=parallel)
            if found is not None:
                return found
        return own.load_faster()

    encoder = load_faster() if at_once else GrowingEncoder(own.first, load_faster)
    return Tokenizer(encoder, artifact, own.words, own.file)


def why_not_compiled(manifest: Manifest) -> str | None:
    """Return why an artifact has no compiled vocabulary; None if it has one."""
    if fmt.VOCABULARY in manifest.files:
        return None
    return manifest.tokenizer.not_compiled or f"its {fmt.MANIFEST} lists none"


class _Own(NamedTuple):
    """What there is without an accelerator.

    Attributes:
        first: the encoder for the first texts.
        load_faster: loads the one for many texts.
        words: finds the ids of single texts; None if only an encoder can.
        file: the file of the artifact that they read.
    """

    first: Encoder
    load_faster: Callable[[], Encoder]
    words: KnownWords | None
    file: str


def _open_compiled(artifact: Artifact, parallel: bool, cache: int | None) -> _Own:
    path = artifact.path(fmt.VOCABULARY)
    manifest = artifact.manifest
    limits = [limit for limit in (manifest.max_length, manifest.max_characters) if limit is not None]
    file = read_vocabulary(artifact.read(fmt.VOCABULARY), str(path))
    with failures_become(
        lambda why: ArtifactError(f"{path}: cannot be used ({why}); export the model again")
    ):
        learner = CompiledLearner(file, parallel=parallel)
        # To search for a new word costs little more than to look up a known one, so every word is cut out.
        encoder = TakingTurns(
            WordEncoder(
                COMPILED, learner, learner.rules, min_bytes=0, max_unknown=2.0, make_table=_table_maker(cache)
            )
        )
        words = KnownWords(
            learner,
            learner.rules,
            max_length=min(limits, default=None),
            unk_id=manifest.unk_id,
            vocabulary_size=manifest.vocabulary_size,
            most_ids=MOST_IDS if cache is None else min(cache, MOST_IDS),
        )
    return _Own(encoder, lambda: encoder, words, fmt.VOCABULARY)


def _open_library(artifact: Artifact, parallel: bool, cache: int | None) -> _Own:
    from portvec._tokenization.learning import cache_words, open_library  # they import `tokenizers`

    plain = open_library(artifact, parallel=parallel)
    return _Own(
        plain, lambda: cache_words(plain, artifact, CACHING, _table_maker(cache)), None, fmt.TOKENIZER
    )


def _table_maker(cache: int | None) -> Callable[[], WordTable]:
    return WordTable if cache is None else partial(WordTable.for_ids, cache)
