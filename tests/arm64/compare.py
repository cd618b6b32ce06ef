"""Run the runtime and its tests under emulated 64-bit ARM, on artifacts made here, and compare with x86.

    PYTHONPATH=tests:tests/support python -m arm64.compare FOLDER [CORPUS.txt.gz ...]

FOLDER is what `arm64.prepare` built. Exits with 1 if a test fails, any token id differs, or any vector
differs by more than 1e-6 of its norm. `make test-arm64` runs it.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import matrix
import texts
import tiny_models
from arm64.cpus import CPUS, Cpu
from arm64.machine import PROJECT, Machine, is_this_one
from arm64.results import Row, compare, table
from classifiers import pipeline
from corpus import paragraphs
from portvec import StaticEmbedder
from portvec._artifact.conformance import Conformance
from portvec_export import export_model
from project import BUNDLED

DOCSTRINGS = 4_000
LINES_OF_EACH_CORPUS = 2_000


@dataclass(frozen=True)
class Sample:
    """An artifact to make.

    Attributes:
        model: the name of its model in the table.
        build: writes the model to a folder and returns the folder to export.
        tokenizers: the implementations to run.
        export: options of export_model.
    """

    model: str
    build: Callable[[Path], Path]
    tokenizers: tuple[str, ...] = ("compiled", "tokenizers")
    export: dict[str, Any] = field(default_factory=dict)


def _head(folder: Path) -> Path:
    pipeline("softmax").save_pretrained(str(folder))
    return folder


def _case(name: str) -> Callable[[Path], Path]:
    return next(case.build for case in matrix.CASES if case.name == name)


_ALL = ("compiled", "nanotoken", "tokenizers")
SAMPLES = {
    **{
        dtype: Sample("minilm-l6-v2-256", lambda _: BUNDLED, _ALL, {"dtype": dtype})
        for dtype in ("float32", "int8", "int4")
    },
    "tiny": Sample("small WordPiece", tiny_models.save, _ALL),
    "unigram": Sample("small Unigram", _case("Unigram, XLM-R style, pad id 1")),
    "bpe": Sample("small byte-level BPE", _case("BPE, byte-level, no UNK")),
    "quantized": Sample("small, vocabulary quantized", _case("vocabulary-quantized, int8")),
    "head": Sample("small classifier", _head),
}
# The runtime's tests that need no exporter. Python takes seconds to start there, so only some of these are
# tests of the command line.
TESTS = (
    "embedding/test_embedder.py",
    "embedding/test_concurrency.py",
    "cli/test_search.py",
    "cli/test_embed.py::test_ten_thousand_texts",
    "cli/test_embed.py::test_failure_half_way_leaves_the_file_as_it_was",
    "cli/test_errors.py::test_missing_file_of_an_artifact",
    "cli/test_shell.py::test_leaves_nothing_in_the_home_folder",
)
TOO_LONG = "not twenty_thousand_calls"


def main(folder: str, corpora: list[str]) -> int:
    """Run everything on every processor; return the exit code."""
    if is_this_one():
        print("this machine is 64-bit ARM itself: running the tests on it, nothing is emulated", flush=True)
        return subprocess.run([sys.executable, "-m", "pytest"], cwd=PROJECT).returncode
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="portvec-arm64-") as temporary:
        work = Path(temporary)
        _make_artifacts(work, corpora)
        jobs = [f"{name}/{tokenizer}" for name, sample in SAMPLES.items() for tokenizer in sample.tokenizers]
        _embed(sys.executable, None, work, "x86", [job for job in jobs if job.endswith("/tokenizers")])
        machine = Machine(Path(folder))
        rows: list[Row] = []
        passed = True
        for cpu in CPUS:
            python = str(machine.start(cpu))
            rows += _rows(cpu, work, _embed(python, machine.environment(), work, cpu.model, jobs))
            passed &= _test(python, machine, cpu, work)
    print(f"\n{table(rows)}\n\n{time.monotonic() - start:.0f} s")
    return 0 if passed and all(row.passed for row in rows) else 1


def _make_artifacts(work: Path, corpora: list[str]) -> None:
    for name, sample in SAMPLES.items():
        export_model(sample.build(work / "models" / name), work / "artifacts" / name, **sample.export)
    bundled = StaticEmbedder.load(work / "artifacts" / "float32").manifest
    path = work / "artifacts" / "float32" / "conformance.json"
    recorded = Conformance.read(path.read_bytes(), path, bundled)
    everything = [
        *paragraphs(DOCSTRINGS),
        *recorded.texts,
        *texts.scripts(),
        *texts.ADVERSARIAL,
        *texts.huge(),
        *texts.around_limits(bundled.max_length, bundled.max_characters),
        *(line for corpus in corpora for line in _lines(corpus)),
    ]
    (work / "artifacts" / "texts.json").write_text(json.dumps(everything), encoding="utf-8")


def _lines(corpus: str) -> Iterator[str]:
    """Yield lines taken evenly from a corpus."""
    with gzip.open(corpus, "rt", encoding="utf-8") as file:
        lines = file.read().split("\n")
    yield from islice(lines, 0, None, max(1, len(lines) // LINES_OF_EACH_CORPUS))


def _embed(
    python: str, environment: dict[str, str] | None, work: Path, name: str, jobs: Sequence[str]
) -> list[dict[str, Any]]:
    """Run jobs of `on_device` with a Python; return its reports."""
    (work / name).mkdir()
    command = [python, "-m", "arm64.on_device", str(work / "artifacts"), str(work / name), *jobs]
    start = time.monotonic()
    result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, encoding="utf-8")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    if result.returncode != 0:  # negative for a signal: -4 is an illegal instruction
        done = max(0, len(lines) - 1)
        sys.exit(f"{name}: ended with code {result.returncode} after {done} of {' '.join(jobs)}")
    print(f"{name}: {lines[0]['machine']}; {time.monotonic() - start:.0f} s", flush=True)
    reports: list[dict[str, Any]] = lines[1:]
    return reports


def _rows(cpu: Cpu, work: Path, reports: list[dict[str, Any]]) -> Iterator[Row]:
    for report in reports:
        name, tokenizer = report["job"].split("/")
        got = work / cpu.model / f"{name}-{tokenizer}.npz"
        count, other_ids, worst = compare(got, work / "x86" / f"{name}-tokenizers.npz")
        sample = SAMPLES[name]
        dtype = sample.export.get("dtype", "float32")
        numbers = (count, other_ids, worst, report["verified"], report["seconds"])
        yield Row(cpu.name, sample.model, dtype, report["tokenizer"], *numbers)


def _test(python: str, machine: Machine, cpu: Cpu, work: Path) -> bool:
    environment = machine.environment(PORTVEC_TEST_ARTIFACTS=str(work / "artifacts"))
    tests = [f"tests/{name}" for name in TESTS]
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", TOO_LONG, *tests]
    print(f"{cpu.model}: tests", flush=True)
    return subprocess.run(command, cwd=PROJECT, env=environment).returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
