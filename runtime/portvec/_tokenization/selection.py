"""Choosing the tokenizer backend that an artifact is run with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from itertools import chain
from typing import TYPE_CHECKING, Any

from portvec._artifact import format as fmt
from portvec._artifact.conformance import Conformance
from portvec._artifact.files import parse_json
from portvec._artifact.folder import Artifact
from portvec._failures import failures_become, is_failure
from portvec._messages import describe_unknown, install
from portvec._tokenization.backends import ACCELERATORS, Accelerator
from portvec._tokenization.backends.huggingface import NAME, PlainEncoder
from portvec._tokenization.compiled import CompiledLearner
from portvec._tokenization.cutting import find_cutting_rules
from portvec._tokenization.growing import GrowingEncoder
from portvec._tokenization.known_words import KnownWords
from portvec._tokenization.learning import LibraryLearner
from portvec._tokenization.library import describe_parts
from portvec._tokenization.tokenizer import Encoder, Tokenizer, check_id
from portvec._tokenization.word_cache import WordEncoder
from portvec._vocabulary.file import read_vocabulary
from portvec.errors import ArtifactError, MissingExtraError, OptionError

if TYPE_CHECKING:
    from logging import Logger

AUTO = "auto"
# The artifact's compiled vocabulary.
COMPILED = "compiled"
# What `tokenizers` with a cache of words is called.
CACHING = "tokenizers, caching words"


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
    known = [AUTO, COMPILED, NAME, *accelerators]
    if choice not in known:
        raise OptionError(describe_unknown("tokenizer", choice, known))
    if choice in accelerators:
        return Tokenizer(_require(accelerators[choice], _Trial(artifact, parallel)), artifact)
    if choice in (AUTO, COMPILED) and fmt.VOCABULARY in artifact.manifest.files:
        return _open_compiled(artifact, parallel)
    if choice == COMPILED:
        raise ArtifactError(
            f"{artifact.folder}: has no compiled vocabulary ({artifact.manifest.tokenizer.not_compiled}); "
            "use tokenizer='auto'"
        )
    path = artifact.path(fmt.TOKENIZER)
    plain = PlainEncoder(path, artifact.read(fmt.TOKENIZER), parallel=parallel)
    model = artifact.manifest.tokenizer.model
    candidates = [each for each in accelerators.values() if choice == AUTO and model in each.models]
    trial = _Trial(artifact, parallel) if candidates else None

    def load_faster() -> Encoder:
        accelerated = _find(candidates, trial) if trial else None
        if accelerated is not None:
            return accelerated
        with failures_become(lambda why: ArtifactError(f"{path}: not a tokenizer that can be run ({why})")):
            rules = find_cutting_rules(describe_parts(plain.tokenizer))
        return WordEncoder(CACHING, LibraryLearner(plain, rules), rules) if rules else plain

    encoder = load_faster() if at_once else GrowingEncoder(plain, load_faster)
    return Tokenizer(encoder, artifact)


def _open_compiled(artifact: Artifact, parallel: bool) -> Tokenizer:
    """Return the tokenizer that searches the artifact's compiled vocabulary."""
    path = artifact.path(fmt.VOCABULARY)
    file = read_vocabulary(artifact.contents[fmt.VOCABULARY], str(path))
    with failures_become(
        lambda why: ArtifactError(f"{path}: cannot be used ({why}); export the model again")
    ):
        learner = CompiledLearner(file, parallel=parallel)
    # To find the ids of a new word costs little more than to look up those of a known one.
    encoder = WordEncoder(COMPILED, learner, learner.rules, min_bytes=0, max_unknown=2.0)
    manifest = artifact.manifest
    limits = [limit for limit in (manifest.max_length, manifest.max_characters) if limit is not None]
    known = KnownWords(
        learner,
        learner.rules,
        max_length=min(limits, default=None),
        unk_id=manifest.unk_id,
        vocabulary_size=manifest.vocabulary_size,
    )
    return Tokenizer(encoder, artifact, known)


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
        check_id(self._artifact, max(chain(ids, (token["id"] for token in added))))
        for token in added:
            if token["content"].isspace():
                raise ValueError(f"the added token {token['content']!r} is white space")


def _log() -> Logger:
    import logging  # slow to import, and seldom needed

    return logging.getLogger("portvec")
