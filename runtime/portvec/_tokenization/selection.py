"""Choosing the tokenizer backend that an artifact is run with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

from portvec._artifact import format as fmt
from portvec._artifact.conformance import Conformance
from portvec._artifact.folder import Artifact
from portvec._messages import describe_unknown, install
from portvec._tokenization.backends import ACCELERATORS, Accelerator
from portvec._tokenization.backends.huggingface import NAME, PlainEncoder
from portvec._tokenization.cutting import find_cutting_rules
from portvec._tokenization.growing import GrowingEncoder
from portvec._tokenization.tokenizer import Encoder, Tokenizer
from portvec._tokenization.word_cache import WordEncoder
from portvec.errors import ArtifactError, MissingExtraError, OptionError

if TYPE_CHECKING:
    from logging import Logger

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
    content = artifact.read(fmt.TOKENIZER)
    if choice in accelerators:
        encoder = _require(accelerators[choice], _Trial(artifact, content, parallel))
        return Tokenizer(encoder, artifact.manifest)
    plain = PlainEncoder(artifact.path(fmt.TOKENIZER), content, parallel=parallel)
    model = artifact.manifest.tokenizer.model
    candidates = [each for each in accelerators.values() if choice == AUTO and model in each.models]
    trial = _Trial(artifact, content, parallel) if candidates else None

    def load_faster() -> Encoder:
        accelerated = _find(candidates, trial) if trial else None
        if accelerated is not None:
            return accelerated
        rules = find_cutting_rules(plain.tokenizer)
        return WordEncoder(plain, rules) if rules else plain

    encoder = load_faster() if at_once else GrowingEncoder(plain, load_faster)
    return Tokenizer(encoder, artifact.manifest)


def _require(accelerator: Accelerator, trial: _Trial) -> Encoder:
    """Return the encoder of one accelerator."""
    name = accelerator.name
    if find_spec(accelerator.package) is None:
        raise MissingExtraError(f"tokenizer {name!r} is not installed; {install(accelerator.extra)}")
    encoder = trial.load(accelerator)
    if encoder is None:
        raise ArtifactError(
            f"{trial.folder}: {name} does not give this model's token ids; use tokenizer='auto'"
        )
    return encoder


def _find(accelerators: Iterable[Accelerator], trial: _Trial) -> Encoder | None:
    """Return the encoder of the first accelerator that is installed and exact."""
    for accelerator in accelerators:
        if find_spec(accelerator.package):
            try:
                encoder = trial.load(accelerator)
            except ArtifactError as error:  # without recorded ids, none can be trusted
                _log().warning("%s is not used: %s", accelerator.name, error)
                return None
            if encoder is not None:
                return encoder
    return None


class _Trial:
    """Compares accelerators with the ids that an artifact recorded.

    It holds what that takes, because accelerators may be loaded much later than the artifact.
    """

    def __init__(self, artifact: Artifact, tokenizer_json: bytes, parallel: bool) -> None:
        self.folder = artifact.folder
        self._manifest = artifact.manifest
        self._tokenizer_json = tokenizer_json
        self._recorded = artifact.read(fmt.CONFORMANCE)
        self._parallel = parallel

    def load(self, accelerator: Accelerator) -> Encoder | None:
        """Return the encoder if it reproduces the recorded ids, else None.

        Raises:
            ArtifactError: the recorded ids cannot be read.
        """
        recorded = Conformance.read(self._recorded, self.folder / fmt.CONFORMANCE, self._manifest)
        try:
            encoder = accelerator(self._tokenizer_json, parallel=self._parallel)
            token_ids = Tokenizer(encoder, self._manifest).tokenize(recorded.texts).lists()
        except Exception as error:  # a tokenizer that the library does not support, or a fault in the library
            _log().info("%s: %s is not used (%s)", self.folder, accelerator.name, error)
            return None
        if token_ids == recorded.token_ids:
            return encoder
        _log().warning(
            "%s: %s is not used, its ids differ from the recorded ones", self.folder, accelerator.name
        )
        return None


def _log() -> Logger:
    import logging  # slow to import, and seldom needed

    return logging.getLogger("portvec")
