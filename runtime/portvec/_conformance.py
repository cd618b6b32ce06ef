"""conformance.json: texts whose token ids and embeddings were recorded with the reference."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from portvec import _format as fmt
from portvec._artifact import Artifact
from portvec._classifier import StaticClassifier
from portvec._embedder import StaticEmbedder
from portvec._manifest import Manifest
from portvec.errors import ArtifactError


@dataclass(frozen=True)
class Conformance:
    """Recorded texts.

    Attributes:
        texts: n texts.
        token_ids: the ids of each, truncated and without UNK.
        embeddings: float32 (n, dim).
        logits: float32 (n, outputs) of a pipeline's head; None without one.
    """

    texts: list[str]
    token_ids: list[list[int]]
    embeddings: npt.NDArray[np.float32]
    logits: npt.NDArray[np.float32] | None = None

    def to_json(self, reference: str) -> str:
        """Return the text of conformance.json; numbers read back as the same float32."""
        lines = []
        for index, (text, ids) in enumerate(zip(self.texts, self.token_ids, strict=True)):
            numbers = {"embedding": self.embeddings}
            if self.logits is not None:
                numbers["logits"] = self.logits
            # str() of a float32 is the shortest number that reads back the same.
            parts = [f'"{name}": [{", ".join(map(str, rows[index]))}]' for name, rows in numbers.items()]
            lines.append(f'{{"text": {json.dumps(text)}, "token_ids": {ids}, {", ".join(parts)}}}')
        head = f'{{"reference": {json.dumps(reference)}, "tolerance": {fmt.TOLERANCE}, "texts": [\n'
        return head + ",\n".join(lines) + "\n]}\n"

    @classmethod
    def read(cls, path: Path, manifest: Manifest) -> Conformance:
        """Read conformance.json.

        Raises:
            ArtifactError: it is not what the exporter writes.
        """
        try:
            cases: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["texts"]
            read = cls(
                texts=[str(case["text"]) for case in cases],
                token_ids=[[int(token_id) for token_id in case["token_ids"]] for case in cases],
                embeddings=_column(cases, "embedding", manifest.dim),
                logits=_column(cases, "logits", manifest.head.outputs) if manifest.head else None,
            )
        except (OSError, ValueError, LookupError, TypeError, OverflowError) as error:
            raise ArtifactError(f"{path}: not a list of recorded texts ({error}); export again") from error
        if not cases:
            raise ArtifactError(f"{path}: holds no recorded text; export the model again")
        return read


def _column(cases: list[dict[str, Any]], name: str, width: int) -> npt.NDArray[np.float32]:
    return np.array([case[name] for case in cases], dtype=np.float32).reshape(len(cases), width)


def compare(artifact: Artifact, recorded: Conformance, *, optimize: bool) -> float:
    """Return the largest relative difference between an artifact's vectors and the recorded ones.

    The texts are embedded together and one by one, since block shapes choose different kernels.

    Raises:
        ArtifactError: token ids differ, or a number differs by more than the tolerance.
    """
    embedder = StaticEmbedder(artifact, optimize=optimize)
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
        logits = StaticClassifier(artifact, optimize=optimize).logits(recorded.texts)
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
