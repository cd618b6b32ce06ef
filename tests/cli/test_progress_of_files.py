"""How far `portvec embed` is: the bar on a terminal, and the lines in a log."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from command_line import RunPortvec
from portvec._bulk.sources import Source, fail, open_source
from portvec._cli import progress
from portvec._cli.progress import count_rows

BLOCKS = 20
ROWS = 100  # in a block


class Clock:
    """The time that progress sees."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Screen(io.StringIO):
    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=clock))
    monkeypatch.setattr("tqdm.std.time", clock)
    return clock


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    """Rows of 100 bytes, of which ten are read at a time, and 100 make a block."""
    monkeypatch.setattr("portvec._bulk.sources.inputs._CHUNK", 1000)
    monkeypatch.setattr("portvec._bulk.sources.text_source.MOST_ROWS", ROWS)
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"text": "{n:087}"}}\n' for n in range(BLOCKS * ROWS)))
    assert path.stat().st_size == BLOCKS * ROWS * 100
    return open_source(path)


def watch(
    source: Source, clock: Clock, monkeypatch: pytest.MonkeyPatch, *, terminal: bool, before: int = 0
) -> list[str]:
    """Return what is shown of a run in which an earlier one has written blocks. A further one takes 20 s."""
    screen = Screen(terminal=terminal)
    monkeypatch.setattr(sys, "stderr", screen)
    with count_rows(source) as count:
        count(before * ROWS)
        for number, block in enumerate(source.read(fail)):
            clock.now += 1 if number < before else 20
            if number >= before:
                count(len(block))
    return re.split(r"[\r\n]+", screen.getvalue())


def test_a_log_has_the_rate_and_the_time_left(
    lines: Source, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = watch(lines, clock, monkeypatch, terminal=False)
    assert shown[:2] == ["100 rows (5%)", "200 rows (10%), 5 rows/s, 6 min 0 s left"]
    assert shown[-3:] == [
        "1,900 rows (95%), 5 rows/s, 20 s left",
        "2,000 rows (100%), 5 rows/s, 0 s left",
        "",
    ]


@pytest.mark.parametrize("terminal", [False, True])
def test_what_an_earlier_run_has_written_does_not_count_as_work_of_this_one(
    lines: Source, clock: Clock, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    shown = watch(lines, clock, monkeypatch, terminal=terminal, before=12)
    if terminal:
        assert any(re.search(r"75%.* 150k/200k .*<01:40, 500B/s, 1,500 rows", line) for line in shown), shown
    else:
        assert "1,500 rows (75%), 5 rows/s, 1 min 40 s left" in shown


@pytest.mark.parametrize("terminal", [False, True])
def test_the_same_where_the_number_of_rows_is_known(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    table = pa.table({"text": ["a"] * BLOCKS * ROWS})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=ROWS)
    source = open_source(tmp_path / "a.parquet")
    shown = watch(source, clock, monkeypatch, terminal=terminal, before=12)
    if terminal:
        assert any(re.search(r"75%.* 1500/2000 .*<01:40, +5.00 rows/s", line) for line in shown), shown
    else:
        assert "1,500 of 2,000 rows (75%), 5 rows/s, 1 min 40 s left" in shown


@pytest.mark.parametrize("terminal", [False, True])
def test_finding_the_columns_is_no_progress(
    lines: Source, clock: Clock, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    pytest.importorskip("pyarrow")
    screen = Screen(terminal=terminal)
    monkeypatch.setattr(sys, "stderr", screen)
    with count_rows(lines) as count:
        assert lines.schema().names == ["text"]
        assert lines.bytes_read == 0
        clock.now += 60
        count(0)
        assert "%" not in screen.getvalue()
        blocks = lines.read(fail)
        for _ in range(4):
            count(len(next(blocks)))
            clock.now += 20
    shown = re.findall(r"\d+%", screen.getvalue())
    assert shown[0] in ("5%", "10%")
    assert shown[-1] == "20%"


@pytest.mark.parametrize("output", ["out.npy", "out.jsonl"])
def test_a_command_prints_lines_where_there_is_no_terminal(
    portvec: RunPortvec, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    monkeypatch.setattr(progress, "_INTERVAL", 0)
    (tmp_path / "a.txt").write_text("a text\n" * 300)
    result = portvec("embed", tiny, "-i", "a.txt", "-o", output, "--part-rows", 100)
    assert result.returncode == 0
    *shown, summary = result.stderr.splitlines()
    assert [line.partition(" rows")[0] for line in shown] == ["100", "200", "300"]
    assert summary.startswith(f"{output}: 300 embeddings")
