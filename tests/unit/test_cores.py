"""How many cores the process may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from portvec._cores import available_cores, use_every_core


class TestAvailableCores:
    @pytest.fixture
    def group(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
        return tmp_path

    @pytest.mark.parametrize(
        ("quota", "cores"), [("150000 100000", 2), ("1000 100000", 1), ("max 100000", 16)]
    )
    def test_quota_of_version_2(self, group: Path, quota: str, cores: int) -> None:
        (group / "proc").write_text("0::/pod/container\n")
        (group / "pod" / "container").mkdir(parents=True)
        (group / "pod" / "container" / "cpu.max").write_text("max 100000\n")
        (group / "pod" / "cpu.max").write_text(quota + "\n")
        assert available_cores(group / "proc", group) == cores

    @pytest.mark.parametrize(("quota", "cores"), [("300000", 3), ("-1", 16)])
    def test_quota_of_version_1(self, group: Path, quota: str, cores: int) -> None:
        (group / "proc").write_text("3:memory:/other\n2:cpu,cpuacct:/not/mounted\n")
        (group / "cpu,cpuacct").mkdir()
        (group / "cpu,cpuacct" / "cpu.cfs_quota_us").write_text(quota)
        (group / "cpu,cpuacct" / "cpu.cfs_period_us").write_text("100000")
        assert available_cores(group / "proc", group) == cores

    def test_without_groups(self, group: Path) -> None:
        assert available_cores(group / "proc", group) == 16


@pytest.mark.parametrize(
    ("threads", "cores", "all_taken"),
    [(1, 1, False), (1, 4, False), (2, 4, False), (3, 4, False), (4, 4, True), (5, 4, True), (2, 1, True)],
)
def test_threads_on_every_core(threads: int, cores: int, all_taken: bool) -> None:
    assert use_every_core(threads, cores) is all_taken
    assert use_every_core(1) is False
    assert use_every_core(available_cores() + 1) is True
