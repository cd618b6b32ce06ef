"""Progress of bulk embedding: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from portvec._bulk.sources.source import Source
from portvec._cli.output import inform, is_quiet
from portvec._progress import Progress

# Seconds between lines in a log.
_INTERVAL: Final = 10.0


@contextmanager
def count_rows(source: Source) -> Iterator[Callable[[int], None]]:
    """Show how far a source is embedded, unless --quiet is given. Yield what counts further rows.

    The first count is that of rows that an earlier run has written. The total is in rows where the source
    knows their number, and else in bytes of its files.
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
    rows = 0
    with Progress(unit_scale=not by_rows, leave=False, delay=1.0, **unit) as bar:

        def count(more: int) -> None:
            nonlocal rows
            rows += more
            if by_rows:
                bar.update(more)
            else:
                bar.set_postfix_str(f"{rows:,} rows", refresh=False)
                bar.update(source.bytes_read - bar.n)

        yield count


class _Log:
    """Prints a line at most every few seconds."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._rows = 0
        self._first: int | None = None
        self._began = self._printed = time.monotonic()

    def count(self, more: int) -> None:
        """Count further rows."""
        if self._first is None:  # an earlier run has written them, or this one the first part
            self._first = more
        self._rows += more
        now = time.monotonic()
        if now - self._printed >= _INTERVAL:
            self._printed = now
            inform(self._describe(now - self._began))

    def _describe(self, seconds: float) -> str:
        new = self._rows - (self._first or 0)
        rate = new / seconds
        total = self._source.rows
        done = self._rows / total if total else self._source.bytes_read / max(self._source.size, 1)
        of = f" of {total:,}" if total else ""
        share = f" ({done:.0%})" if self._source.size else ""
        line = f"{self._rows:,}{of} rows{share}, {rate:,.0f} rows/s"
        if total and rate:
            line += f", {_format_time((total - self._rows) / rate)} left"
        elif 0 < done <= 1 and self._source.size:
            line += f", {_format_time(seconds * (1 - done) / done)} left"
        return line


def _format_time(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
    )
