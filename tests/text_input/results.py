"""What hosts computed, compared with what is right, as rows of a table."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from text_input.hosts import Host
from text_input.job import Result, read_result

TOLERANCE = 1e-5
TIMEOUT = 600  # seconds


@dataclass(frozen=True)
class Job:
    """What hosts compute with a model. Its dicts have False for hosts that take no U+0000, True for others.

    Attributes:
        name: the kind of the model's tokenizer.
        graphs: the files of its graphs, by the names of `hosts`.
        texts: the texts in order.
        files: their files.
        expected: what is right for them.
    """

    name: str
    graphs: dict[str, Path]
    texts: dict[bool, list[str]]
    files: dict[bool, Path]
    expected: dict[bool, Result]


@dataclass
class Row:
    """What a host computed, summed up over the models. `problem` is empty if all is well."""

    name: str
    version: str = ""
    compared: int = 0
    other_ids: int = 0
    worst: float = 0.0
    problem: str = ""
    missing: bool = False
    examples: list[str] = field(default_factory=list)

    def add(self, several: Sequence[str], ids: list[list[int]], got: list[list[int]]) -> None:
        """Count texts and those with other ids."""
        if len(got) != len(several):
            raise ValueError(f"gave ids of {len(got)} texts, expected {len(several)}")
        wrong = [index for index, (a, b) in enumerate(zip(ids, got, strict=True)) if a != b]
        self.compared += len(several)
        self.other_ids += len(wrong)
        self.examples += [f"{several[i][:60]!r}: {ids[i][:9]}, got {got[i][:9]}" for i in wrong[:3]]

    def judge(self) -> None:
        """Set the problem, unless there is one."""
        if not self.problem and (self.other_ids or not self.worst <= TOLERANCE):
            self.problem = "ids differ" if self.other_ids else f"vectors differ by more than {TOLERANCE:.0e}"


_emulation = threading.Lock()


def run(host: Host, jobs: Sequence[Job]) -> Row:
    """Run every model on a host."""
    row = Row(host.name)
    if host.missing:
        row.problem, row.missing = f"not run: {host.missing}", True
        return row
    for job in jobs:
        try:
            row.version, result = _run(host, job)
            expected = job.expected[host.has_nul]
            row.add(job.texts[host.has_nul], expected.ids, result.ids)
            row.worst = max(row.worst, _difference(result.vectors, expected.vectors))
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            said = getattr(error, "stderr", "") or str(error)
            row.problem = f"{job.name}: failed: {said.strip().splitlines()[-1]}"
            return row
    row.judge()
    return row


def _run(host: Host, job: Job) -> tuple[str, Result]:
    with tempfile.TemporaryDirectory() as name:
        result = Path(name) / "result"
        # Two emulated processors share the file that describes them.
        with _emulation if host.cpu else nullcontext():
            command, environment = host.command()
            arguments = [str(job.graphs[host.graph]), str(job.files[host.has_nul]), str(result)]
            done = subprocess.run(
                [*command, *arguments],
                env=environment,
                check=True,
                capture_output=True,
                encoding="utf-8",
                timeout=TIMEOUT,
            )
        return done.stdout.split()[-1], read_result(result)


def _difference(vectors: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> float:
    if vectors.shape != expected.shape:
        raise ValueError(f"gave vectors of shape {vectors.shape}, expected {expected.shape}")
    worst = np.abs(vectors.astype(np.float64) - expected).max()
    return float(worst) if np.isfinite(worst) else float("inf")


def table(rows: Sequence[Row], first: str, vectors: bool) -> str:
    """Return rows as Markdown."""
    head = [first, "onnxruntime", "texts", "other ids", *(["worst difference"] if vectors else [])]
    out = [f"| {' | '.join(head)} |", f"|---|---|{'--:|' * (len(head) - 2)}"]
    for row in rows:
        cells = [row.name, row.version, f"{row.compared:,}", f"{row.other_ids:,}"]
        cells += [f"{row.worst:.0e}"] if vectors else []
        cells[-1] += f" {row.problem}" if row.problem else ""
        out.append(f"| {' | '.join(cells)} |")
    return "\n".join(out) + "\n"


def write(path: Path, name: str, text: str) -> None:
    """Put `text` between the markers of a name."""
    first, last = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    before, rest = path.read_text("utf-8").split(first)
    path.write_text(f"{before}{first}{text}{last}{rest.split(last)[1]}", encoding="utf-8")


def say(row: Row, started: float) -> None:
    """Tell how long a row took, and what is wrong in it."""
    print(f"{row.name} {row.version}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    for example in row.examples[:5]:
        print(f"  {example}", file=sys.stderr)
