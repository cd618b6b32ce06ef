"""conformance.json: texts whose token ids and embeddings were recorded with the reference."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from portvec import _format as fmt
from portvec._embedder import StaticEmbedder
from portvec.errors import ArtifactError


@dataclass(frozen=True)
class Conformance:
    """Recorded texts.

    Attributes:
        texts: n texts.
        token_ids: the ids of each, truncated and without UNK.
        embeddings: float32 (n, dim).
    """

    texts: list[str]
    token_ids: list[list[int]]
    embeddings: npt.NDArray[np.float32]

    def to_json(self, reference: str) -> str:
        """Return the text of conformance.json; numbers read back as the same float32."""
        rows = [
            f'{{"text": {json.dumps(text)}, "token_ids": {ids}, "embedding": [{", ".join(map(str, row))}]}}'
            for text, ids, row in zip(self.texts, self.token_ids, self.embeddings, strict=True)
        ]
        head = f'{{"reference": {json.dumps(reference)}, "tolerance": {fmt.TOLERANCE}, "texts": [\n'
        return head + ",\n".join(rows) + "\n]}\n"

    @classmethod
    def read(cls, path: Path, dim: int) -> Conformance:
        """Read conformance.json.

        Raises:
            ArtifactError: it is not what the exporter writes.
        """
        try:
            cases: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["texts"]
            embeddings = np.array([case["embedding"] for case in cases], dtype=np.float32)
            read = cls(
                texts=[str(case["text"]) for case in cases],
                token_ids=[[int(token_id) for token_id in case["token_ids"]] for case in cases],
                embeddings=embeddings.reshape(len(cases), dim),
            )
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise ArtifactError(f"{path}: not a list of recorded texts ({error}); export again") from error
        if not cases:
            raise ArtifactError(f"{path}: holds no recorded text; export the model again")
        return read


def compare(embedder: StaticEmbedder, recorded: Conformance, where: str) -> float:
    """Return the largest relative difference between an embedder's vectors and the recorded ones.

    The texts are embedded together and one by one, since block shapes choose different kernels.

    Raises:
        ArtifactError: token ids differ, or a vector differs by more than the tolerance.
    """
    token_ids = embedder.tokenize(recorded.texts).lists()
    for index, (got, expected) in enumerate(zip(token_ids, recorded.token_ids, strict=True)):
        if got != expected:
            raise ArtifactError(
                f"{where}: recorded text {index} has other token ids here ({len(got)}, recorded are "
                f"{len(expected)}); check the version of tokenizers, or export again"
            )
    alone = np.stack([embedder.encode(text) for text in recorded.texts])
    largest = 0.0
    for embeddings in (embedder.encode(recorded.texts), alone):
        differences = relative_differences(embeddings, recorded.embeddings)
        worst = int(np.argmax(differences))
        if not differences[worst] <= fmt.TOLERANCE:  # also true for NaN
            raise ArtifactError(
                f"{where}: the embedding of recorded text {worst} differs by {differences[worst]:.1e} of its "
                f"norm, more than {fmt.TOLERANCE:.0e}; check the onnxruntime version, or export again"
            )
        largest = max(largest, float(differences[worst]))
    return largest


def relative_differences(
    embeddings: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64]:
    """Return, for each row, the largest component difference over the expected row's norm.

    Where the expected row is zero the difference itself counts, so that only zero matches it.
    """
    norms = np.linalg.norm(expected.astype(np.float64), axis=1)
    differences = np.abs(embeddings.astype(np.float64) - expected).max(axis=1, initial=0.0)
    return np.asarray(differences / np.where(norms > 0, norms, 1.0))
