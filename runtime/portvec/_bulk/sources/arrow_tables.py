"""Parquet and Arrow: rows in blocks. Import this module when pyarrow is known to be there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types

from portvec._bulk.arrow import is_text
from portvec._bulk.column_files import ColumnFile, open_column_file
from portvec._bulk.sources.arrow_json import encode_rows
from portvec._bulk.sources.columns import check_names, describe_difference
from portvec._bulk.sources.source import MOST_CHARACTERS, MOST_ROWS, BadRow, Block, Report
from portvec._messages import fold_lines
from portvec.errors import FileError


class ArrowTables:
    """A `Source` of Parquet or Arrow files. All columns keep their types."""

    def __init__(
        self, name: str, paths: Sequence[Path], text: str, format: str, only: range | None = None
    ) -> None:
        """Open files. `only` are the rows to read of a single one, if not all."""
        self.name = name
        self.files = tuple(paths)
        self.format = format
        self.text = text
        self._files = [open_column_file(path, format) for path in paths]
        self._schema = self._files[0].schema
        for file in self._files:
            self._check(file)
        counts = [file.count_rows() for file in self._files]
        known = [count for count in counts if count is not None]
        self.rows = sum(known) if len(known) == len(counts) else None
        self._only = only
        if only is not None:
            self.rows = len(only)
        self.size = sum(file.size for file in self._files)
        self.bytes_read = 0

    def _check(self, file: ColumnFile) -> None:
        check_names(str(file.path), file.names, self.text)
        kind = file.schema.field(self.text).type
        if not is_text(kind):
            raise FileError(
                f"{file.path}: the column {self.text!r} is {kind}, expected string; give another field=..."
            )
        if not file.schema.equals(self._schema):
            here, there = ([str(field) for field in schema] for schema in (file.schema, self._schema))
            raise FileError(describe_difference(str(file.path), str(self._files[0].path), here, there))

    def schema(self) -> Any:
        """Return the schema of the first file, with its metadata."""
        return self._schema

    def read(self, report: Report) -> Iterator[Block]:
        """Yield the rows in blocks."""
        before = self.bytes_read = 0
        for file in self._files:
            for first, batch, position in file.batches(MOST_ROWS, needed=self._only):
                with file.reading():
                    _validate(batch)
                self.bytes_read = before + position
                row = first + 1
                if self._only is not None:
                    if first >= self._only.stop:
                        break
                    start = max(self._only.start - first, 0)
                    batch = batch.slice(start, max(self._only.stop - first - start, 0))
                    row += start
                for piece in _cut(file, batch, self.text):
                    block, bad = _read(file, piece, self.text)
                    for index, reason in bad:
                        report(BadRow(str(file.path), row + index, reason, "row"))
                    row += piece.num_rows
                    if len(block):
                        yield block
            before += file.size
            self.bytes_read = before


def _cut(file: ColumnFile, batch: Any, text: str) -> Iterator[Any]:
    """Cut a batch into pieces as large as a block may be."""
    for start in range(0, batch.num_rows, MOST_ROWS):
        piece = batch.slice(start, MOST_ROWS)
        with file.reading():
            ends = np.cumsum(_lengths(piece.column(text)))
        begin = 0
        while begin < len(ends):
            before = ends[begin - 1] if begin else 0
            end = max(begin + 1, int(np.searchsorted(ends, before + MOST_CHARACTERS, side="right")))
            yield piece.slice(begin, end - begin)
            begin = end


def _validate(batch: Any) -> None:
    """Check offsets and indices. pyarrow follows those of a damaged file wherever they lead."""
    for column in batch.columns:
        _raw(column).validate(full=True)


def _raw(column: Any) -> Any:
    """Return texts as bytes, because some may not be UTF-8. Other columns stay as they are."""
    if types.is_string(column.type):
        return column.view(pa.binary())
    if types.is_large_string(column.type):
        return column.view(pa.large_binary())
    if is_text(column.type) and not types.is_dictionary(column.type) and not types.is_null(column.type):
        return column.view(pa.binary_view())
    return column


def _lengths(texts: Any) -> Any:
    """Return the bytes of each text, an array of int64."""
    if types.is_dictionary(texts.type):
        if not len(texts.dictionary):
            return np.zeros(len(texts), dtype=np.int64)
        return _lengths(texts.dictionary)[texts.indices.fill_null(0).to_numpy(zero_copy_only=False)]
    if types.is_null(texts.type):
        return np.zeros(len(texts), dtype=np.int64)
    raw = _raw(texts)
    if types.is_binary(raw.type) or types.is_large_binary(raw.type):
        return pc.binary_length(raw).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    # pyarrow has no function for views.
    return np.fromiter((len(value.as_py() or b"") for value in raw), dtype=np.int64, count=len(raw))


def _read(file: ColumnFile, piece: Any, text: str) -> tuple[_ColumnBlock, list[tuple[int, str]]]:
    """Return the rows that can be embedded, and the index of each other row with what is wrong."""
    column = piece.column(text)
    bad: list[tuple[int, str]] = []
    try:
        texts = column.to_pylist()
    except UnicodeDecodeError:
        texts = []
        for index, value in enumerate(column):
            try:
                texts.append(value.as_py())
            except UnicodeDecodeError as error:
                bad.append((index, f"the text is not UTF-8 ({error}); correct the row"))
                texts.append(None)
    if None in texts:
        known = {index for index, _ in bad}
        nulls = [i for i, each in enumerate(texts) if each is None and i not in known]
        bad = sorted([*bad, *((index, "the text is null; give it a value") for index in nulls)])
        piece = _without(piece, [index for index, _ in bad])
        texts = [each for each in texts if each is not None]
    return _ColumnBlock(file, piece, texts), bad


def _without(piece: Any, indices: list[int]) -> Any:
    """Return a batch without some rows. pyarrow can join slices of all types, but not pick rows of all."""
    edges = [-1, *indices, piece.num_rows]
    slices = [piece.slice(a + 1, b - a - 1) for a, b in pairwise(edges) if b > a + 1]
    if len(slices) < 2:
        return slices[0] if slices else piece.slice(0, 0)
    return pa.Table.from_batches(slices).combine_chunks().to_batches()[0]


class _ColumnBlock:
    def __init__(self, file: ColumnFile, batch: Any, texts: list[str]) -> None:
        self._file = file
        self._batch = batch
        self.texts = texts

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def size(self) -> int:
        """Bytes of the rows."""
        return int(self._batch.nbytes)

    def cut(self, start: int, stop: int) -> _ColumnBlock:
        start, stop, _ = slice(start, stop).indices(len(self))
        return _ColumnBlock(
            self._file, self._batch.slice(start, max(stop - start, 0)), self.texts[start:stop]
        )

    def json_rows(self) -> Iterator[str]:
        try:
            return encode_rows(self._batch)
        except (ValueError, pa.ArrowException) as error:
            raise FileError(
                f"{self._file.path}: a value cannot be written as JSON ({fold_lines(error)}); correct it, or "
                "choose .parquet or .arrow output, which keeps values as they are"
            ) from error

    def record_batch(self, schema: Any) -> Any:
        return pa.RecordBatch.from_arrays(self._batch.columns, schema=schema)
