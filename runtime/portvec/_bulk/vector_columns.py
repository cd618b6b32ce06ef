"""Vectors in a column of a Parquet or Arrow file, and the texts beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow.compute as pc
import pyarrow.types as types

from portvec._bulk.arrow import EMBEDDING, TEXT, is_text
from portvec._bulk.column_files import open_column_file
from portvec._bulk.provenance import Provenance
from portvec._bulk.vectors import BLOCK, check_dim
from portvec.errors import FileError

if TYPE_CHECKING:
    import numpy.typing as npt

_TEXTS: Final = 1024  # texts read at a time


class VectorColumns:
    """A Parquet or Arrow file with a column of vectors and perhaps one of texts.

    Attributes:
        path: where it is.
        made: what it says about the model; None if it says nothing.
    """

    def __init__(self, path: Path, field: str | None = None, vector_field: str | None = None) -> None:
        """Open a .parquet or .arrow file.

        Args:
            path: where it is.
            field: the column of texts; by default the one that the file names, or "text", if there is one.
            vector_field: the column of vectors; by default the one that the file names, or "embedding".

        Raises:
            FileError: the file cannot be read, there is no such column, or it holds something else.
        """
        self.path = path
        self._file = open_column_file(path, path.suffix.lower()[1:])
        self._schema = self._file.schema
        with self._file.reading():
            self.made = Provenance.read(self._schema.metadata)
        self._vector = vector_field or (self.made.embedding if self.made else EMBEDDING)
        kind = self._type(self._vector, "vector_field")
        if not _is_vector(kind):
            raise FileError(
                f"{path}: the column {self._vector!r} is {kind}, expected lists of float or halffloat; give "
                "another vector_field=..."
            )
        if field is not None and not is_text(self._type(field, "field")):
            raise FileError(
                f"{path}: the column {field!r} is {self._type(field, 'field')}, expected string; give "
                "another field=..."
            )
        self._text: str | None = field or (self.made.text if self.made else TEXT)
        if self._file.names.count(self._text) != 1 or not is_text(self._schema.field(self._text).type):
            self._text = None  # nobody asked for it

    def vectors(self, dim: int) -> Iterator[npt.NDArray[np.float32]]:
        """Yield blocks of rows. A vector that is null is a row of zeros."""
        kind = self._schema.field(self._vector).type
        if types.is_fixed_size_list(kind):
            check_dim(self.path, kind.list_size, dim)
        step = max(1, BLOCK // dim)
        for batch in self._file.batches(step, [self._vector]):
            array = batch.rows.column(0)
            for start in range(0, len(array), step):
                with self._file.reading():
                    rows = self._rows(array.slice(start, step), batch.first + start, dim)
                yield rows

    def texts(self, rows: Sequence[int]) -> list[str | None]:
        """Return the texts of some rows, which ascend; None for each if there is no column of texts."""
        if self._text is None:
            return [None] * len(rows)
        found = []
        with self._file.reading():
            for batch in self._file.batches(_TEXTS, [self._text], rows):
                for row in rows:
                    if batch.first <= row < batch.first + len(batch.rows):
                        value = batch.rows.column(0).slice(row - batch.first, 1)
                        value.validate(full=True)
                        found.append(value[0].as_py())
        return found

    def _type(self, name: str, argument: str) -> Any:
        names = self._file.names
        if names.count(name) != 1:
            problem = "no column" if name not in names else "more than one column"
            raise FileError(
                f"{self.path}: {problem} {name!r}, has {', '.join(names) or 'none'}; give another "
                f"{argument}=..."
            )
        return self._schema.field(name).type

    def _rows(self, array: Any, first: int, dim: int) -> npt.NDArray[np.float32]:
        array.validate(full=True)  # the offsets of lists, which whoever wrote the file may have set at will
        if not types.is_fixed_size_list(array.type):
            lengths = pc.list_value_length(array).fill_null(dim).to_numpy(zero_copy_only=False)
            if (lengths != dim).any():
                check_dim(self.path, int(lengths[(lengths != dim).argmax()]), dim)
        values = array.flatten()  # without lists that are null
        if values.null_count:
            raise FileError(
                f"{self.path}: a vector in the rows {first} to {first + len(array) - 1} holds null; correct "
                "it, or embed the text again"
            )
        found: npt.NDArray[np.float32]
        found = values.to_numpy(zero_copy_only=False).reshape(-1, dim).astype(np.float32, copy=False)
        if not array.null_count:
            return found
        rows = np.zeros((len(array), dim), dtype=np.float32)
        rows[array.is_valid().to_numpy(zero_copy_only=False)] = found
        return rows


def _is_vector(kind: Any) -> bool:
    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return bool(is_list and (types.is_float32(kind.value_type) or types.is_float16(kind.value_type)))
