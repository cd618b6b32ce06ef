"""Does an artifact give the recorded vectors on this device?"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from portvec._artifact import format as fmt
from portvec._artifact.conformance import Conformance
from portvec._artifact.folder import Artifact, check_hashes, open_artifact
from portvec._classifier import StaticClassifier
from portvec._embedder import StaticEmbedder
from portvec._tokenization.selection import TokenizerChoice
from portvec.errors import ArtifactError

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True)
class Verification:
    """What `verify` found to agree.

    Attributes:
        texts: number of recorded texts, all with identical token ids.
        largest_difference: of any embedding's component, relative to the embedding's norm.
    """

    texts: int
    largest_difference: float


def verify(folder: str | os.PathLike[str]) -> Verification:
    """Hash every file of an artifact and embed its recorded texts on this device.

    Every graph runs, with all of onnxruntime's optimizations and with none; the one that is loaded with the
    tokenizer that loading picks here, the others with `tokenizers`, which any other device may have to use.

    Raises:
        ArtifactError: a file is missing or changed, token ids differ from the recorded ones, or an
            embedding differs by more than 1e-6 of its norm.
    """
    artifact = open_artifact(Path(folder))
    check_hashes(artifact)
    main = Conformance.read(artifact.path(fmt.CONFORMANCE), artifact.manifest)
    graphs: list[tuple[str | None, Conformance]] = [(None, main), (fmt.GRAPH, main)]
    for variant in artifact.manifest.variants.values():
        recorded = Conformance.read(artifact.path(variant.conformance), artifact.manifest)
        graphs.append((variant.graph, recorded))
    largest = max(
        _compare(artifact, recorded, graph, optimize=optimize)
        for graph, recorded in graphs
        for optimize in (True, False)
    )
    return Verification(len(main.texts), largest)


def _compare(artifact: Artifact, recorded: Conformance, graph: str | None, *, optimize: bool) -> float:
    """Return the largest relative difference between an artifact's vectors and the recorded ones.

    The texts are embedded together and one by one, since block shapes choose different kernels.

    Raises:
        ArtifactError: token ids differ, or a number differs by more than the tolerance.
    """
    tokenizer: TokenizerChoice = "auto" if graph is None else "tokenizers"
    embedder = StaticEmbedder(artifact, tokenizer=tokenizer, optimize=optimize, graph=graph)
    token_ids = embedder.tokenize(recorded.texts).lists()
    for index, (got, expected) in enumerate(zip(token_ids, recorded.token_ids, strict=True)):
        if got != expected:
            raise ArtifactError(
                f"{artifact.folder}: recorded text {index} has other token ids here ({len(got)}, recorded "
                f"are {len(expected)}); check the version of tokenizers, or export again"
            )
    alone = np.stack([embedder.encode(text) for text in recorded.texts])
    largest = max(
        _largest(relative_differences(embeddings, recorded.embeddings), "embedding", fmt.TOLERANCE, artifact)
        for embeddings in (embedder.encode(recorded.texts), alone)
    )
    if recorded.logits is not None:
        classifier = StaticClassifier(artifact, tokenizer=tokenizer, optimize=optimize, graph=graph)
        logits = classifier.logits(recorded.texts)
        differences = relative_differences(logits, recorded.logits, floor=1.0)
        _largest(differences, "logits", fmt.LOGITS_TOLERANCE, artifact)
    return largest


def _largest(differences: npt.NDArray[np.float64], what: str, tolerance: float, artifact: Artifact) -> float:
    worst = int(np.argmax(differences))
    if not differences[worst] <= tolerance:  # also true for NaN
        raise ArtifactError(
            f"{artifact.folder}: the {what} of recorded text {worst} differs by {differences[worst]:.1e} "
            f"of its norm, more than {tolerance:.0e}; check the onnxruntime version, or export again"
        )
    return float(differences[worst])


def relative_differences(
    rows: npt.NDArray[np.float32], expected: npt.NDArray[np.float32], floor: float = 0.0
) -> npt.NDArray[np.float64]:
    """Return, for each row, the largest component difference over the expected row's norm.

    Norms below `floor` count as `floor`. Where the norm is zero the difference itself counts, so that only
    zero matches it.
    """
    norms = np.maximum(np.linalg.norm(expected.astype(np.float64), axis=1), floor)
    differences = np.abs(rows.astype(np.float64) - expected).max(axis=1, initial=0.0)
    return np.asarray(differences / np.where(norms > 0, norms, 1.0))
