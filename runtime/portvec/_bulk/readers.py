"""Reading files of texts: .txt, .jsonl and .csv."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from portvec.errors import FileError, OptionError

_DEFAULT_FIELD = "text"


def read_texts(path: Path, field: str | None = None) -> Iterator[str]:
    """Yield the texts of a file one by one.

    A .jsonl file gives the field `field` ("text" by default) of the object on each line, or the line itself
    if it is a string. A .csv file gives the column of that name. Any other file gives its lines, without the
    blank ones.

    Raises:
        OptionError: the file has no fields, but `field` is given.
        FileError: the file cannot be read, is not UTF-8, or a line lacks the field.
    """
    reader = {".jsonl": _jsonl, ".csv": _csv}.get(path.suffix.lower())
    if reader is None and field is not None:
        raise OptionError(f"{path}: a field is for .jsonl and .csv files; leave out field={field!r}")
    try:
        with path.open(encoding="utf-8-sig", newline="" if reader is _csv else None) as file:
            yield from reader(file, path, field or _DEFAULT_FIELD) if reader else read_lines(file)
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise FileError(f"{path}: not UTF-8 ({error.reason}); convert it to UTF-8") from error


def read_lines(file: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a text file that are not blank, without their line ends."""
    return (text for line in file if (text := line.rstrip("\r\n")).strip())


def _jsonl(file: IO[str], path: Path, field: str) -> Iterator[str]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise FileError(f"{path}, line {number}: not valid JSON ({error})") from error
        text = value.get(field) if isinstance(value, dict) else value
        if not isinstance(text, str):
            raise FileError(
                f"{path}, line {number}: expected a string or an object with a string {field!r}, "
                f"got {line.strip()[:60]}; give another field=..."
            )
        yield text


def _csv(file: IO[str], path: Path, field: str) -> Iterator[str]:
    rows = csv.DictReader(file)
    columns = rows.fieldnames or []
    if field not in columns:
        raise FileError(
            f"{path}: no column {field!r}, has {', '.join(columns) or 'none'}; give another field=..."
        )
    for row in rows:
        if row[field] is None:
            raise FileError(f"{path}, line {rows.line_num}: the row has no column {field!r}")
        yield row[field]
