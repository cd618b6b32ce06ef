"""Checking that an artifact gives the recorded vectors on this device."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from portvec._artifact import format as fmt
from portvec._artifact.conformance import Conformance
from portvec._artifact.folder import Artifact, check_hashes, open_artifact
from portvec._artifact.layers import tolerance_after
from portvec._inference.activations import activate
from portvec._inference.batching import Tiling
from portvec._inference.graphs import choose_strategy
from portvec._inference.pipeline import Pipeline
from portvec._inference.target import Target
from portvec._inference.text_graph import TextGraph
from portvec._inference.threads import Threads
from portvec._tokenization.selection import AUTO, LIBRARY, choose_tokenizer
from portvec._tokenization.tokenizer import Tokenizer
from portvec.errors import ArtifactError

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True)
class Verification:
    """The result of `verify`.

    Attributes:
        texts: number of recorded texts, all with identical token ids.
        largest_difference: largest difference of a component of an embedding, relative to its norm.
    """

    texts: int
    largest_difference: float


def verify(folder: str | os.PathLike[str]) -> Verification:
    """Hash every file of an artifact, and embed its recorded texts on this device.

    Every graph runs twice: with all of onnxruntime's optimizations, and with none. portvec's own graphs use
    the tokenizer that `StaticEmbedder.load` chooses on this device. The others use `tokenizers`, as other
    devices may, and graphs with text input need none.

    Args:
        folder: the artifact.

    Raises:
        ArtifactError: a file is missing or changed, token ids differ from the recorded ones, or an embedding
            differs by more than 1e-6 of its norm; after dense layers, by more than 1e-5 of its norm or of the
            mean norm, whichever is larger. Logits, and the probabilities or predictions that a graph makes of
            them, may differ by 1e-5 of their norm or of 1, whichever is larger.
    """
    return verify_artifact(open_artifact(Path(folder)))


def verify_artifact(artifact: Artifact) -> Verification:
    """Do what `verify` does for an artifact that is open.

    Raises:
        ArtifactError: a file is changed, or ids or embeddings differ, as for `verify`.
    """
    check_hashes(artifact)
    return check_results(artifact)


def check_results(artifact: Artifact) -> Verification:
    """Embed the recorded texts as `verify` does, without hashing the files.

    Raises:
        ArtifactError: ids or embeddings differ, as for `verify`.
    """
    own, plain = (choose_tokenizer(artifact, choice, at_once=True) for choice in (AUTO, LIBRARY))
    main = _read_recorded(artifact, fmt.CONFORMANCE)
    # Each graph (None for the runtime's own) with its recorded texts and the tokenizer to run it with.
    runs: list[tuple[str | None, Conformance, Tokenizer]] = [(None, main, own), (fmt.GRAPH, main, plain)]
    for variant in artifact.manifest.variants.values():
        recorded = _read_recorded(artifact, variant.conformance)
        runs.append((variant.graph, recorded, plain))
    largest = 0.0
    for graph, recorded, tokenizer in runs:
        _check_token_ids(artifact, recorded, tokenizer)
        for optimize in (True, False):
            largest = max(largest, _check_vectors(artifact, recorded, tokenizer, graph, optimize))
    for kind in artifact.manifest.text_inputs:
        for optimize in (True, False):
            largest = max(largest, _check_text_graph(artifact, main, kind, optimize))
    return Verification(len(main.texts), largest)


def _read_recorded(artifact: Artifact, name: str) -> Conformance:
    return Conformance.read(artifact.read(name), artifact.path(name), artifact.manifest)


def _check_token_ids(artifact: Artifact, recorded: Conformance, tokenizer: Tokenizer) -> None:
    _compare_token_ids(artifact, recorded, tokenizer.tokenize(recorded.texts).lists())


def _compare_token_ids(artifact: Artifact, recorded: Conformance, token_ids: list[list[int]]) -> None:
    for index, (got, expected) in enumerate(zip(token_ids, recorded.token_ids, strict=True)):
        if got != expected:
            raise ArtifactError(
                f"{artifact.folder}: recorded text {index} has other token ids here than recorded "
                f"({len(got)} ids, {len(expected)} recorded); check the version of tokenizers, or "
                "export again"
            )


def _check_vectors(
    artifact: Artifact, recorded: Conformance, tokenizer: Tokenizer, graph: str | None, optimize: bool
) -> float:
    """Return the largest relative difference between an artifact's embeddings and the recorded ones.

    Raises:
        ArtifactError: a number differs by more than the tolerance.
    """

    def load(output: str, width: int) -> Pipeline:
        strategy = choose_strategy(artifact, Target(output, width, graph=graph, optimize=optimize))
        return Pipeline(tokenizer, strategy, Tiling.of(artifact.manifest), width, Threads(1))

    pipeline = load(fmt.SENTENCE_EMBEDDING, artifact.manifest.dim)
    # Embed the texts together and one by one, because onnxruntime chooses its kernels by shape.
    alone = np.stack([pipeline.run(text) for text in recorded.texts])
    largest = max(
        _check_embeddings(embeddings, recorded, artifact)
        for embeddings in (pipeline.run(recorded.texts), alone)
    )
    head = artifact.manifest.head
    if head is not None:
        logits = load(fmt.LOGITS, head.outputs).run(recorded.texts)
        activated = None
        if graph is not None:  # the runtime's own has logits only
            activated = load(fmt.HEAD_OUTPUTS[head.activation], head.outputs).run(recorded.texts)
        _check_head(artifact, recorded, logits, activated)
    return largest


def _check_text_graph(artifact: Artifact, recorded: Conformance, kind: str, optimize: bool) -> float:
    """Return the largest relative difference between the embeddings of a text graph and the recorded ones.

    Raises:
        ArtifactError: a number differs by more than the tolerance, or a token id differs.
    """
    widths = {fmt.SENTENCE_EMBEDDING: artifact.manifest.dim}
    head = artifact.manifest.head
    if head is not None:
        widths |= dict.fromkeys((fmt.LOGITS, fmt.HEAD_OUTPUTS[head.activation]), head.outputs)
    graph = TextGraph(artifact, kind, [fmt.INPUT_IDS, *widths], optimize=optimize)
    texts = recorded.texts
    padded, *results = graph.run(texts)
    for (name, width), got in zip(widths.items(), results, strict=True):
        if got.dtype != np.float32 or got.shape != (len(texts), width):
            raise ArtifactError(
                f"{graph.where}: gives {name} as {got.dtype} {list(got.shape)}, expected float32 "
                f"{[len(texts), width]}; export again"
            )
    _compare_token_ids(artifact, recorded, graph.read_ids(padded, len(texts)).lists())
    embeddings, *of_head = results
    if head is not None:
        _check_head(artifact, recorded, *of_head)
    alone = [graph.run([text]) for text in texts]
    _compare_token_ids(artifact, recorded, [graph.read_ids(each[0], 1).lists()[0] for each in alone])
    return max(
        _check_embeddings(rows, recorded, artifact)
        for rows in (embeddings, np.concatenate([each[1] for each in alone]))
    )


def _check_embeddings(embeddings: npt.NDArray[Any], recorded: Conformance, artifact: Artifact) -> float:
    """Return the largest relative difference from the recorded embeddings."""
    tolerance, floor = tolerance_after(artifact.manifest.layers), 0.0
    if tolerance == fmt.DENSE_TOLERANCE:
        # What a dense layer adds up may cancel, and its rounding is then large beside what is left.
        floor = float(np.linalg.norm(recorded.embeddings.astype(np.float64), axis=1).mean())
    differences = relative_differences(embeddings, recorded.embeddings, floor)
    return _check_differences(differences, "embedding", tolerance, artifact)


def _check_head(
    artifact: Artifact,
    recorded: Conformance,
    logits: npt.NDArray[Any],
    activated: npt.NDArray[Any] | None = None,
) -> None:
    """Check a graph's logits, and what it gives after the activation, if it gives that.

    The second is compared with what the manifest's activation makes of the graph's own logits. So the
    rounding of the logits, which may be large beside 1, does not loosen the comparison.

    Raises:
        ArtifactError: a number differs by more than the tolerance.
    """
    head = artifact.manifest.head
    assert head is not None
    assert recorded.logits is not None
    compared = [(fmt.LOGITS, logits, recorded.logits)]
    if activated is not None:
        compared.append((fmt.HEAD_OUTPUTS[head.activation], activated, activate(logits, head.activation)))
    for what, got, expected in compared:
        differences = relative_differences(got, expected, floor=1.0)
        _check_differences(differences, what, fmt.DENSE_TOLERANCE, artifact)


def _check_differences(
    differences: npt.NDArray[np.float64], what: str, tolerance: float, artifact: Artifact
) -> float:
    """Return the largest difference, which must not exceed the tolerance."""
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
    """Return, for each row, the largest difference of a component over the norm of the expected row.

    Norms below `floor` count as `floor`. If the norm is zero, the difference itself counts, so that only a
    zero row matches.
    """
    norms = np.maximum(np.linalg.norm(expected.astype(np.float64), axis=1), floor)
    differences = np.abs(rows.astype(np.float64) - expected).max(axis=1, initial=0.0)
    return np.asarray(differences / np.where(norms > 0, norms, 1.0))
