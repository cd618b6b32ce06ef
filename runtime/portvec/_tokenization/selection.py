"""Which tokenizer implementation an artifact is run with."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final, Literal, get_args

from portvec._artifact import format as fmt
from portvec._artifact.conformance import Conformance
from portvec._artifact.folder import Artifact
from portvec._cores import available_cores
from portvec._tokenization.cutting import splitting
from portvec._tokenization.encoders import GrowingEncoder, NanotokenEncoder, PlainEncoder
from portvec._tokenization.tokenizer import Encoder, Tokenizer
from portvec._tokenization.word_cache import WordEncoder
from portvec.errors import ArtifactError, InputError, MissingExtraError

TokenizerChoice = Literal["auto", "tokenizers", "nanotoken"]
CHOICES: Final[tuple[str, ...]] = get_args(TokenizerChoice)


def choose_tokenizer(artifact: Artifact, choice: TokenizerChoice, threads: int) -> Tokenizer:
    """Return the tokenizer asked for; for "auto" the fastest one that is installed and exact.

    A faster library is used only if it gives the ids that the artifact recorded; if not, a warning is
    logged and `tokenizers` does the work.

    Raises:
        InputError: an unknown choice.
        MissingExtraError: the library asked for is not installed.
        ArtifactError: the library asked for does not give this artifact's ids.
    """
    if choice not in CHOICES:
        raise InputError(f"tokenizer is {choice!r}, expected one of {', '.join(CHOICES)}")
    # The libraries' pools have a thread per core: they are used where all cores are granted.
    parallel = 1 < threads >= available_cores()
    if choice == "nanotoken":
        if find_spec("nanotoken") is None:
            raise MissingExtraError("tokenizer 'nanotoken' is not installed; run pip install 'portvec[fast]'")
        encoder = _nanotoken(artifact, parallel)
        if encoder is None:
            raise ArtifactError(
                f"{artifact.folder}: nanotoken does not give this model's token ids; use 'auto'"
            )
        return Tokenizer(encoder, artifact.manifest)
    plain = PlainEncoder(artifact.path(fmt.TOKENIZER), parallel=parallel)

    def faster() -> Encoder:
        is_known = artifact.manifest.tokenizer.model == "WordPiece" and find_spec("nanotoken") is not None
        accelerated = _nanotoken(artifact, parallel) if choice == "auto" and is_known else None
        if accelerated is not None:
            return accelerated
        cuts = splitting(plain.tokenizer)
        return WordEncoder(plain, cuts) if cuts else plain

    return Tokenizer(GrowingEncoder(plain, faster), artifact.manifest)


def _nanotoken(artifact: Artifact, parallel: bool) -> Encoder | None:
    """Return nanotoken if it reproduces the recorded ids, else None."""
    import logging

    log = logging.getLogger("portvec")
    recorded = Conformance.read(artifact.path(fmt.CONFORMANCE), artifact.manifest)
    try:
        encoder = NanotokenEncoder(artifact.path(fmt.TOKENIZER), parallel=parallel)
        same = Tokenizer(encoder, artifact.manifest)(recorded.texts).lists() == recorded.token_ids
    except Exception as error:  # a component that it does not know, or a fault of its own
        log.info("%s: nanotoken is not used (%s)", artifact.folder, error)
        return None
    if not same:
        log.warning("%s: nanotoken is not used, its ids differ from the recorded ones", artifact.folder)
    return encoder if same else None
