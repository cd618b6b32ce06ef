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
    candidates = _Candidates(artifact, parallel)
    if choice in accelerators:
        return Tokenizer(candidates.require(accelerators[choice]), artifact.manifest)
    plain = PlainEncoder(artifact.path(fmt.TOKENIZER), candidates.tokenizer_json, parallel=parallel)

    def load_faster() -> Encoder:
        accelerated = candidates.find(accelerators.values()) if choice == AUTO else None
        if accelerated is not None:
            return accelerated
        rules = find_cutting_rules(plain.tokenizer)
        return WordEncoder(plain, rules) if rules else plain

    encoder = load_faster() if at_once else GrowingEncoder(plain, load_faster)
    return Tokenizer(encoder, artifact.manifest)


class _Candidates:
    """Accelerators for an artifact. It holds what loading them takes, because that may happen much later."""

    def __init__(self, artifact: Artifact, parallel: bool) -> None:
        self.tokenizer_json = artifact.read(fmt.TOKENIZER)
        self._recorded = artifact.read(fmt.CONFORMANCE)
        self._folder = artifact.folder
        self._manifest = artifact.manifest
        self._parallel = parallel

    def require(self, accelerator: Accelerator) -> Encoder:
        """Return the encoder of one accelerator.

        Raises:
            MissingExtraError: it is not installed.
            ArtifactError: it does not give the recorded ids, or these cannot be read.
        """
        name = accelerator.name
        if find_spec(accelerator.package) is None:
            raise MissingExtraError(f"tokenizer {name!r} is not installed; {install(accelerator.extra)}")
        encoder = self._load(accelerator)
        if encoder is None:
            raise ArtifactError(
                f"{self._folder}: {name} does not give this model's token ids; use tokenizer='auto'"
            )
        return encoder

    def find(self, accelerators: Iterable[Accelerator]) -> Encoder | None:
        """Return the encoder of the first accelerator that supports the model and is installed and exact."""
        for accelerator in accelerators:
            if self._manifest.tokenizer.model in accelerator.models and find_spec(accelerator.package):
                try:
                    encoder = self._load(accelerator)
                except ArtifactError as error:  # without recorded ids, none can be trusted
                    _log().warning("%s is not used: %s", accelerator.name, error)
                    return None
                if encoder is not None:
                    return encoder
        return None

    def _load(self, accelerator: Accelerator) -> Encoder | None:
        """Return the encoder if it reproduces the recorded ids, else None."""
        path = self._folder / fmt.CONFORMANCE
        recorded = Conformance.read(self._recorded, path, self._manifest)
        try:
            encoder = accelerator(self.tokenizer_json, parallel=self._parallel)
            token_ids = Tokenizer(encoder, self._manifest).tokenize(recorded.texts).lists()
        except Exception as error:  # a tokenizer that the library does not support, or a fault in the library
            _log().info("%s: %s is not used (%s)", self._folder, accelerator.name, error)
            return None
        if token_ids == recorded.token_ids:
            return encoder
        _log().warning(
            "%s: %s is not used, its ids differ from the recorded ones", self._folder, accelerator.name
        )
        return None


def _log() -> Logger:
    import logging  # slow to import, and seldom needed

    return logging.getLogger("portvec")
