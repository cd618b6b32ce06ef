"""Progress of bulk embedding: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final, NamedTuple

from portvec._bulk.sources.source import Source
from portvec._cli.output import inform, is_quiet
from portvec._progress import Progress

# Seconds between lines in a log.
_INTERVAL: Final = 10.0


@contextmanager
def count_rows(source: Source) -> Iterator[Callable[[int], None]]:
    """Show how far a source is embedded, unless --quiet is given. Yield what counts further rows.

    The first count is that of rows that an earlier run has written. The total is in rows where the source
    knows their number, and else in bytes of its files. The pace is that of the parts after the first: before
    it, columns are found, and rows of the earlier run are read again.
    """
    if is_quiet() or sys.stderr is None:
        yield lambda rows: None
    elif sys.stderr.isatty():
        with _bar(source) as count:
            yield count
    else:
        yield _Log(source).count


@contextmanager
def _bar(source: Source) -> Iterator[Callable[[int], None]]:
    by_rows = source.rows is not None or not source.size
    unit = {"unit": " rows", "total": source.rows} if by_rows else {"unit": "B", "total": source.size}
    rows: int | None = None
    bar: Progress | None = None
    with ExitStack() as stack:

        def count(more: int) -> None:
            nonlocal rows, bar
            if rows is None:
                rows = more
                return
            rows += more
            place = rows if by_rows else source.bytes_read
            if bar is None:
                bar = Progress(initial=place, unit_scale=not by_rows, leave=False, delay=1.0, **unit)
                stack.enter_context(bar)
            if not by_rows:
                bar.set_postfix_str(f"{rows:,} rows", refresh=False)
            bar.update(place - bar.n)

        yield count


class _Mark(NamedTuple):
    """How far a run is: when, after how many rows, and at which place, in the unit of the total."""

    time: float
    rows: int
    place: int


class _Log:
    """Prints a line at most every few seconds."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._total = source.rows or source.size
        self._rows: int | None = None
        self._first: _Mark | None = None
        self._printed = time.monotonic()

    def count(self, more: int) -> None:
        """Count further rows."""
        if self._rows is None:
            self._rows = more
            return
        self._rows += more
        place = self._rows if self._source.rows else self._source.bytes_read
        mark = _Mark(time.monotonic(), self._rows, place)
        if self._first is None:
            self._first = mark
        if mark.time - self._printed >= _INTERVAL:
            self._printed = mark.time
            inform(self._describe(self._first, mark))

    def _describe(self, first: _Mark, mark: _Mark) -> str:
        of = f" of {self._total:,}" if self._source.rows else ""
        line = f"{mark.rows:,}{of} rows"
        if self._total:
            line += f" ({mark.place / self._total:.0%})"
        seconds = mark.time - first.time
        if seconds > 0:
            line += f", {(mark.rows - first.rows) / seconds:,.0f} rows/s"
        if seconds > 0 and first.place < mark.place <= self._total:
            left = seconds * (self._total - mark.place) / (mark.place - first.place)
            line += f", {_format_time(left)} left"
        return line


def _format_time(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
    )
