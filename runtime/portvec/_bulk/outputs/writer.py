"""What a format of files is to the code that writes parts."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any, Protocol

import numpy as np

from portvec._bulk.parts import Part

if TYPE_CHECKING:
    import numpy.typing as npt


class Writer(Protocol):
    """Writes parts to the end of a file. The file is complete after `finish`."""

    def write(self, part: Part, embeddings: npt.NDArray[np.float32]) -> Any:
        """Write a part with its embeddings, float32 (len(part), dim).

        Returns:
            what `OpenWriter` needs to go on after this part, as JSON can hold it.
        """

    def finish(self) -> None:
        """Write what comes last."""


class OpenWriter(Protocol):
    """Begins a file, or goes on with one."""

    def __call__(self, file: IO[bytes], notes: list[Any]) -> Writer:
        """Return the writer for a file, which is empty or ends after the last part.

        Args:
            file: open for reading and writing in binary mode, with its position at the end.
            notes: what `Writer.write` has returned for each part that is in the file.
        """
