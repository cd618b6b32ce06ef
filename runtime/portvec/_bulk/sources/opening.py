"""Opening files of texts, whatever they hold."""

from __future__ import annotations

import os
from typing import BinaryIO

from portvec._bulk.sources.csv_tables import CsvTables
from portvec._bulk.sources.extra import import_pyarrow
from portvec._bulk.sources.finding import FORMATS, TEXT_FORMATS, find
from portvec._bulk.sources.inputs import FileInput, Input, StreamInput
from portvec._bulk.sources.json_lines import JsonLines
from portvec._bulk.sources.plain_lines import TEXT, PlainLines
from portvec._bulk.sources.source import Source
from portvec._messages import describe_unknown
from portvec.errors import OptionError


def open_source(
    path: str | os.PathLike[str], *, format: str | None = None, field: str | None = None
) -> Source:
    """Open a file of texts, all files of a folder, or those that a glob pattern matches.

    Files of a folder are read in the order of their names. Names that begin with "." or "_" are left out, and
    so are folders in it. In a pattern, "**" stands for any number of folders.

    Args:
        path: the file, the folder or the pattern.
        format: "txt", "jsonl", "csv", "tsv", "parquet" or "arrow". By default, the suffix says it. A further
            suffix .gz or .zst says that one of the first four is compressed.
        field: column or field that holds the texts, "text" by default. Lines have none.

    Raises:
        FileError: a file is missing or of an unknown format, or formats are mixed. Parquet and Arrow files
            are opened at once, so for them also: one is damaged, lacks the column or differs from the first.
        OptionError: the format is unknown, or `field` is given for lines.
        MissingExtraError: the files need pyarrow, and it is not installed.
    """
    name = os.fspath(path)
    if format is not None:
        _check_format(format)
    found = find(name, format)
    format = found[0].format
    if format in TEXT_FORMATS:
        return _open_text(name, [FileInput(each.path, each.compression) for each in found], format, field)
    import_pyarrow(f"{name}: a file of the format {format}")
    from portvec._bulk.sources.arrow_tables import ArrowTables

    return ArrowTables(name, [each.path for each in found], field or TEXT, format)


def open_stream(file: BinaryIO, name: str, *, format: str | None = None, field: str | None = None) -> Source:
    """Open a stream of texts, such as standard input, which can be read once.

    Args:
        file: the stream. It is not closed.
        name: its name in messages.
        format: "txt", which is the default, "jsonl", "csv" or "tsv".
        field: column or field that holds the texts, "text" by default. Lines have none.

    Raises:
        OptionError: the format is none of these, or `field` is given for lines.
    """
    format = format or "txt"
    _check_format(format)
    if format not in TEXT_FORMATS:
        raise OptionError(f"{name}: {format} is not read from a stream; write it to a file, and give that")
    return _open_text(name, [StreamInput(file, name)], format, field)


def _check_format(format: str) -> None:
    if format not in FORMATS:
        raise OptionError(describe_unknown("format", format, FORMATS))


def _open_text(name: str, inputs: list[Input], format: str, field: str | None) -> Source:
    if format == "txt":
        if field is not None:
            raise OptionError(
                f"{name}: a field is for .jsonl, .csv, .tsv, .parquet and .arrow files; leave out "
                f"field={field!r}"
            )
        return PlainLines(name, inputs, TEXT)
    if format == "jsonl":
        return JsonLines(name, inputs, field or TEXT)
    return CsvTables(name, inputs, field or TEXT, format)
