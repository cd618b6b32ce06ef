"""How `make test-arm64` sets up an emulated machine, and when it fails. No emulation runs here."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from arm64 import machine, prepare
from arm64.compare import TESTS
from arm64.cpus import CPUS
from arm64.results import Row, compare, table
from project import ROOT


def test_one_processor_has_dot_products_and_one_has_not() -> None:
    assert [cpu.has_dot_product for cpu in CPUS] == [False, True]
    for cpu in CPUS:
        text = cpu.cpuinfo(2)
        assert re.findall(r"processor\t: (\d+)", text) == ["0", "1"]
        assert re.findall(r"CPU part\t: (\w+)", text) == [cpu.part] * 2
        assert ("asimddp" in text) == cpu.has_dot_product


@pytest.mark.parametrize("test", TESTS)
def test_tests_that_run_there_are_where_they_are_named(test: str) -> None:
    path, _, name = test.partition("::")
    text = (ROOT / "tests" / path).read_text(encoding="utf-8")
    assert (f"def {name}(" if name else "def test_") in text


def test_launcher_emulates_the_processor_and_names_itself(tmp_path: Path) -> None:
    there = machine.Machine(tmp_path / "a folder")
    python = there.root / "usr" / "bin" / "python3.11"
    python.parent.mkdir(parents=True)
    for name in ("python3.11", "python3.11-config"):
        (python.parent / name).touch()
    assert there.python_version == "3.11"
    launcher = there.start(CPUS[1])
    line = launcher.read_text().splitlines()[1]
    assert line.startswith(
        f"QEMU_CPU=neoverse-n1 exec '{there.folder}/qemu-aarch64' -L '{there.root}' -0 '{launcher}'"
    )
    assert line.endswith(f""" '{python}' "$@\"""")
    assert (there.root / "proc" / "cpuinfo").read_text() == CPUS[1].cpuinfo(os.cpu_count() or 1)


def test_environment_is_without_this_pythons_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("PYTHONHOME", "LD_PRELOAD", "QEMU_CPU", "VIRTUAL_ENV"):
        monkeypatch.setenv(name, "x")
    environment = machine.Machine(tmp_path).environment(ADDED="y")
    assert environment.keys().isdisjoint({"PYTHONHOME", "LD_PRELOAD", "QEMU_CPU", "VIRTUAL_ENV"})
    assert environment["ADDED"] == "y"
    assert environment["PATH"]


def test_where_apt_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(prepare, "is_this_one", lambda: False)
    with pytest.raises(
        SystemExit, match="needs apt-get and dpkg-deb, which Debian and Ubuntu have; run it there"
    ):
        prepare.main(str(tmp_path / "arm64"))
    assert not (tmp_path / "arm64").exists()


def save(path: Path, ids: list[int], offsets: list[int], embeddings: list[list[float]]) -> Path:
    np.savez(path, ids=ids, offsets=offsets, embeddings=np.array(embeddings, dtype=np.float32))
    return path


def test_comparison_finds_other_ids_and_other_vectors(tmp_path: Path) -> None:
    unit = [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]
    expected = save(tmp_path / "x.npz", [5, 6, 7], [0, 2, 3, 3], unit)
    assert compare(expected, expected) == (3, 0, 0.0)
    for ids, offsets in (([5, 6, 8], [0, 2, 3, 3]), ([5, 6, 7], [0, 2, 2, 3])):
        assert compare(save(tmp_path / "a.npz", ids, offsets, unit), expected)[1] > 0
    moved = [[1.0, 1e-3], *unit[1:]]
    assert compare(save(tmp_path / "b.npz", [5, 6, 7], [0, 2, 3, 3], moved), expected)[2] == pytest.approx(
        1e-3
    )
    with pytest.raises(ValueError, match=r"holds \(2, 2\), expected \(3, 2\)"):
        compare(save(tmp_path / "c.npz", [5, 6, 7], [0, 2, 3], unit[:2]), expected)


def row(**values: float) -> Row:
    numbers = {"texts": 9000, "other_ids": 0, "worst": 3e-7, "verified": 2e-7, "seconds": 1.23, **values}
    return Row("cpu", "model", "int8", "nanotoken", **numbers)  # type: ignore[arg-type]


def test_rows_pass_within_the_tolerance_only() -> None:
    assert row().passed
    assert not row(other_ids=1).passed
    assert not row(worst=1.1e-6).passed
    assert not row(worst=float("nan")).passed
    line = table([row(other_ids=1)]).splitlines()[-1]
    assert line == "| cpu | model | int8 | nanotoken | 9,000 | 8,999 | 3.0e-07 | 2.0e-07 | 1.2 |"
