"""The records of a CSV file, and how to go on after one that is not valid."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Final, NamedTuple

from portvec._bulk.sources.lines import Lines
from portvec.errors import FileError

# Characters of a record. Without a limit, a quote that is not closed takes the rest of the file into memory.
MOST_CHARACTERS: Final = 64 << 20
# Characters that may be read again after bad records, besides as many as were read once. A quote closed far
# away has that much between, so only a file that was made for it has more.
MOST_AGAIN: Final = 1 << 30


class Record(NamedTuple):
    """A record, which may be on several lines.

    Attributes:
        line: number of its first line.
        fields: its fields, as they are written.
        fault: what is wrong with it, or None.
    """

    line: int
    fields: list[str]
    fault: str | None


class Records:
    """The records of one file. Empty lines are none.

    A quote that is not closed makes the record invalid to the end of the file. So after a record that is not
    valid, reading goes on with the line after the one where the record began.

    Args:
        name: the file, for messages.
        groups: its lines, with their ends.
        delimiter: what stands between fields.
    """

    def __init__(self, name: str, groups: Iterator[Lines], delimiter: str) -> None:
        self._name = name
        self._groups = groups
        self._delimiter = delimiter
        self._characters = 0
        self._faults: dict[int, str] = {}  # of lines that were read, by number
        # csv has one limit for the whole process, which others may rely on being no smaller.
        if csv.field_size_limit() < MOST_CHARACTERS:
            csv.field_size_limit(MOST_CHARACTERS)

    def __iter__(self) -> Iterator[Record]:
        line = 1
        again = 0
        fresh = self._lines()
        ahead: list[str] = []  # lines to read again, the last first
        while True:
            taken: list[str] = []
            feed = self._feed(ahead, fresh, taken)
            try:
                for fields in csv.reader(feed, delimiter=self._delimiter, strict=True):
                    if fields:
                        yield Record(line, fields, self._fault(line, len(taken)) if self._faults else None)
                    self._forget(line, len(taken))
                    line += len(taken)
                    taken.clear()
            except csv.Error as error:
                reason = self._faults.get(line, f"not valid CSV ({_explain(error)}); correct the line")
            else:
                return
            yield Record(line, [], reason)
            again += sum(map(len, taken)) - len(taken[0])
            if again > MOST_AGAIN + self._characters:
                raise FileError(
                    f"{self._name}, line {line}: not valid CSV (too many quotes are not closed); correct them"
                )
            ahead += reversed(taken[1:])
            self._forget(line, 1)
            line += 1

    def _lines(self) -> Iterator[str]:
        for lines in self._groups:
            for index, fault in lines.faults.items():
                self._faults[lines.number + index] = fault
            self._characters += sum(map(len, lines.texts))
            yield from lines.texts

    def _feed(self, ahead: list[str], fresh: Iterator[str], taken: list[str]) -> Iterator[str]:
        size = 0
        while True:
            line = ahead.pop() if ahead else next(fresh, None)
            if line is None:
                return
            size = size + len(line) if taken else len(line)
            taken.append(line)
            if size > MOST_CHARACTERS:
                raise csv.Error(f"more than {MOST_CHARACTERS >> 20} Mi characters, so a quote is not closed")
            yield line

    def _forget(self, line: int, count: int) -> None:
        if self._faults:
            for number in range(line, line + count):
                self._faults.pop(number, None)

    def _fault(self, line: int, count: int) -> str | None:
        """Return what is wrong with the bytes of `count` lines from `line`, or None."""
        for number in range(line, line + count):
            fault = self._faults.get(number)
            if fault is not None:
                return fault if number == line else f"in line {number}: {fault}"
        return None


def _explain(error: csv.Error) -> str:
    return "a quote is not closed" if "unexpected end of data" in str(error) else str(error)
