"""Does an artifact give the recorded vectors on this device?"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from portvec import _format as fmt
from portvec._artifact import check_hashes, open_artifact
from portvec._conformance import Conformance, compare


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

    The graph runs with all of onnxruntime's optimizations and with none.

    Raises:
        ArtifactError: a file is missing or changed, token ids differ from the recorded ones, or an
            embedding differs by more than 1e-6 of its norm.
    """
    artifact = open_artifact(Path(folder))
    check_hashes(artifact)
    recorded = Conformance.read(artifact.path(fmt.CONFORMANCE), artifact.manifest)
    largest = max(compare(artifact, recorded, optimize=optimize) for optimize in (True, False))
    return Verification(len(recorded.texts), largest)
