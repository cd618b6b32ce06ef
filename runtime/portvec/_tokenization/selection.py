"""Choosing the tokenizer backend that an artifact is run with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

from portvec._artifact import format as fmt
from portvec._artifact.conformance import Conformance
from portvec._artifact.folder import Artifact
from portvec._failures import failures_become, is_failure
from portvec._messages import describe_unknown, install
from portvec._tokenization.backends import ACCELERATORS, Accelerator
from portvec._tokenization.backends.huggingface import NAME, PlainEncoder
from portvec._tokenization.cutting import find_cutting_rules
from portvec._tokenization.growing import GrowingEncoder
from portvec._tokenization.tokenizer import Encoder, Tokenizer, check_id
from portvec._tokenization.word_cache import WordEncoder
from portvec.errors import ArtifactError, MissingExtraError, OptionError

AUTO = "auto"


def choose_tokenizer(
    artifact: Artifact,
    choice: str = AUTO,
    *,
    parallel: bool = False,
    at_once: bool = False,
    accelerators: Mapping[str, Accelerator] = ACCELERATORS,
) -> Tokenizer:
    """Return the tokenizer asked for; for "auto" the fastest one that is installed and exact.

    An accelerator is used only if it gives the ids that the artifact recorded. If it does not, a warning is
    logged and `tokenizers` does the work.

    Args:
        artifact: the artifact.
        choice: the name of a backend, or "auto".
        parallel: whether the backend may use a thread pool of its own, which has a thread for each core.
        at_once: whether to load the backend for many texts now. Otherwise, `tokenizers` handles the first
            texts.
        accelerators: the accelerators to choose from, by name.

    Raises:
        OptionError: the choice is unknown.
        MissingExtraError: the accelerator asked for is not installed.
        ArtifactError: the accelerator asked for does not give this artifact's ids.
    """
    if choice not in (AUTO, NAME, *accelerators):
        raise OptionError(describe_unknown("tokenizer", choice, [AUTO, NAME, *accelerators]))
    if choice in accelerators:
        return Tokenizer(_require(artifact, accelerators[choice], parallel), artifact)
    path = artifact.path(fmt.TOKENIZER)
    plain = PlainEncoder(path, parallel=parallel)

    def load_faster() -> Encoder:
        accelerated = _find(artifact, accelerators.values(), parallel) if choice == AUTO else None
        if accelerated is not None:
            return accelerated
        with failures_become(lambda why: ArtifactError(f"{path}: not a tokenizer that can be run ({why})")):
            rules = find_cutting_rules(plain.tokenizer)
        return WordEncoder(plain, rules) if rules else plain

    encoder = load_faster() if at_once else GrowingEncoder(plain, load_faster)
    return Tokenizer(encoder, artifact)


def _require(artifact: Artifact, accelerator: Accelerator, parallel: bool) -> Encoder:
    """Return the encoder of one accelerator."""
    name = accelerator.name
    if find_spec(accelerator.package) is None:
        raise MissingExtraError(f"tokenizer {name!r} is not installed; {install(accelerator.extra)}")
    encoder = _load(artifact, accelerator, parallel)
    if encoder is None:
        raise ArtifactError(
            f"{artifact.folder}: {name} does not give this model's token ids; use tokenizer='auto'"
        )
    return encoder


def _find(artifact: Artifact, accelerators: Iterable[Accelerator], parallel: bool) -> Encoder | None:
    """Return the encoder of the first accelerator that supports the model and is installed and exact."""
    for accelerator in accelerators:
        if artifact.manifest.tokenizer.model in accelerator.models and find_spec(accelerator.package):
            encoder = _load(artifact, accelerator, parallel)
            if encoder is not None:
                return encoder
    return None


def _load(artifact: Artifact, accelerator: Accelerator, parallel: bool) -> Encoder | None:
    """Return the encoder if it reproduces the recorded ids, else None."""
    import logging

    log = logging.getLogger("portvec")
    recorded = Conformance.read(artifact.path(fmt.CONFORMANCE), artifact.manifest)
    try:
        path = artifact.path(fmt.TOKENIZER)
        check_id(artifact, _largest_id(path))  # a library may allocate memory for every id up to it
        encoder = accelerator(path, parallel=parallel)
        token_ids = Tokenizer(encoder, artifact).tokenize(recorded.texts).lists()
    except BaseException as error:  # a tokenizer that the library does not support, or a fault in the library
        if not is_failure(error):
            raise
        log.info("%s: %s is not used (%s)", artifact.folder, accelerator.name, error)
        return None
    if token_ids == recorded.token_ids:
        return encoder
    log.warning(
        "%s: %s is not used, its ids differ from the recorded ones", artifact.folder, accelerator.name
    )
    return None


def _largest_id(path: Path) -> int:
    """Return the largest token id that is written in tokenizer.json."""
    tokenizer: Any = json.loads(path.read_text(encoding="utf-8"))
    vocabulary = tokenizer["model"]["vocab"]
    ids = vocabulary.values() if isinstance(vocabulary, dict) else range(len(vocabulary))
    return int(max(chain(ids, (token["id"] for token in tokenizer["added_tokens"]))))
