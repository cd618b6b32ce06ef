"""conformance.json: texts whose token ids and embeddings were recorded with the reference."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from portvec._artifact.files import Content, parse_json
from portvec._artifact.manifest import Manifest
from portvec.errors import ArtifactError

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True)
class Conformance:
    """Texts with the token ids and embeddings that the reference gave for them at export.

    Attributes:
        texts: n texts.
        token_ids: token ids of each text, truncated and without UNK.
        embeddings: float32 (n, dim).
        logits: float32 (n, outputs) of a pipeline's head; None if there is no head.
    """

    texts: list[str]
    token_ids: list[list[int]]
    embeddings: npt.NDArray[np.float32]
    logits: npt.NDArray[np.float32] | None = None

    def to_json(self, reference: str, tolerance: float) -> str:
        """Return the text of conformance.json. Its numbers read back as the same float32."""
        lines = []
        for index, (text, ids) in enumerate(zip(self.texts, self.token_ids, strict=True)):
            numbers = {"embedding": self.embeddings}
            if self.logits is not None:
                numbers["logits"] = self.logits
            # str() of a float32 is the shortest number that reads back the same.
            parts = [f'"{name}": [{", ".join(map(str, rows[index]))}]' for name, rows in numbers.items()]
            lines.append(f'{{"text": {json.dumps(text)}, "token_ids": {ids}, {", ".join(parts)}}}')
        head = f'{{"reference": {json.dumps(reference)}, "tolerance": {tolerance}, "texts": [\n'
        return head + ",\n".join(lines) + "\n]}\n"

    @classmethod
    def read(cls, content: Content, path: Path, manifest: Manifest) -> Conformance:
        """Read the content of conformance.json; `path` names it in errors.

        Raises:
            ArtifactError: it is not a list of recorded texts.
        """
        try:
            cases: list[dict[str, Any]] = parse_json(content)["texts"]
            read = cls(
                texts=[str(case["text"]) for case in cases],
                token_ids=[[int(token_id) for token_id in case["token_ids"]] for case in cases],
                embeddings=_column(cases, "embedding", manifest.dim),
                logits=_column(cases, "logits", manifest.head.outputs) if manifest.head else None,
            )
        except (ValueError, LookupError, TypeError, OverflowError) as error:
            raise ArtifactError(
                f"{path}: not a list of recorded texts ({error}); export the model again"
            ) from error
        if not cases:
            raise ArtifactError(f"{path}: has no recorded text; export the model again")
        return read


def _column(cases: list[dict[str, Any]], name: str, width: int) -> npt.NDArray[np.float32]:
    return np.array([case[name] for case in cases], dtype=np.float32).reshape(len(cases), width)
