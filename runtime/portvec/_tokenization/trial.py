"""Trying accelerators on an artifact: one is used only if it gives the ids that were recorded."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from itertools import chain
from typing import TYPE_CHECKING, Any

from portvec._artifact import format as fmt
from portvec._artifact.conformance import Conformance
from portvec._artifact.files import parse_json
from portvec._artifact.folder import Artifact
from portvec._failures import is_failure
from portvec._messages import install
from portvec._tokenization.backends import Accelerator
from portvec._tokenization.tokenizer import Encoder, Tokenizer, check_id
from portvec.errors import ArtifactError, MissingExtraError

if TYPE_CHECKING:
    from logging import Logger


def require_accelerator(accelerator: Accelerator, artifact: Artifact, *, parallel: bool) -> Encoder:
    """Return the encoder of one accelerator.

    Raises:
        MissingExtraError: it is not installed.
        ArtifactError: it does not give this artifact's ids, or those that were recorded cannot be read.
    """
    name = accelerator.name
    trial = _Trial(artifact, parallel)
    if find_spec(accelerator.package) is None:
        raise MissingExtraError(f"tokenizer {name!r} is not installed; {install(accelerator.extra)}")
    encoder = trial.load(accelerator)
    if encoder is None:
        raise ArtifactError(
            f"{trial.folder}: {name} does not give this model's token ids; use tokenizer='auto'"
        )
    return encoder


def find_accelerator(
    accelerators: Iterable[Accelerator], artifact: Artifact, *, parallel: bool
) -> Encoder | None:
    """Return the encoder of the first accelerator that is installed and exact."""
    for accelerator in accelerators:
        if find_spec(accelerator.package):
            try:
                encoder = _Trial(artifact, parallel).load(accelerator)
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

    def __init__(self, artifact: Artifact, parallel: bool) -> None:
        self.folder = artifact.folder
        self._artifact = artifact
        self._tokenizer_json = artifact.read(fmt.TOKENIZER)
        self._recorded = artifact.read(fmt.CONFORMANCE)
        self._parallel = parallel

    def load(self, accelerator: Accelerator) -> Encoder | None:
        """Return the encoder if it reproduces the recorded ids, else None.

        Raises:
            ArtifactError: the recorded ids cannot be read.
        """
        where = self._artifact.path(fmt.CONFORMANCE)
        recorded = Conformance.read(self._recorded, where, self._artifact.manifest)
        content = bytes(self._tokenizer_json)
        try:
            self._check(parse_json(content))
            encoder = accelerator(content, parallel=self._parallel)
            token_ids = Tokenizer(encoder, self._artifact).tokenize(recorded.texts).lists()
        except BaseException as error:  # a tokenizer that the library does not support, or a fault in it
            if not is_failure(error):
                raise
            _log().info("%s: %s is not used (%s)", self.folder, accelerator.name, error)
            return None
        if token_ids == recorded.token_ids:
            return encoder
        _log().warning(
            "%s: %s is not used, its ids differ from the recorded ones", self.folder, accelerator.name
        )
        return None

    def _check(self, tokenizer: Any) -> None:
        """Refuse a tokenizer.json that a library may read in another way than `tokenizers`.

        Raises:
            ArtifactError: an id is beyond the table. A library may allocate memory for every id up to it.
            ValueError: an added token is white space, of which nanotoken finds more or fewer.
        """
        added, vocabulary = tokenizer["added_tokens"], tokenizer["model"]["vocab"]
        ids = vocabulary.values() if isinstance(vocabulary, dict) else range(len(vocabulary))
        largest = max(chain(ids, (token["id"] for token in added)))
        check_id(self._artifact.path(fmt.TOKENIZER), largest, self._artifact.manifest.vocabulary_size)
        for token in added:
            if token["content"].isspace():
                raise ValueError(f"the added token {token['content']!r} is white space")


def _log() -> Logger:
    import logging  # slow to import, and seldom needed

    return logging.getLogger("portvec")
