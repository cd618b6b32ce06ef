"""How many processor cores this process may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from math import ceil
from pathlib import Path

_PROC = Path("/proc/self/cgroup")
_MOUNT = Path("/sys/fs/cgroup")


def available_cores(proc: Path = _PROC, mount: Path = _MOUNT) -> int:
    """Return the number of cores the process may use, at least 1.

    Honours affinity (taskset, container cpusets) and, on Linux, the CPU quotas of control groups (docker
    --cpus, Kubernetes limits), rounded up. `proc` lists the groups of this process, and `mount` is where they
    are.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cores, *map(ceil, _list_quotas(proc, mount))]))


def use_every_core(threads: int, cores: int | None = None) -> bool:
    """Return whether there are several threads and one for each core (by default, each available one)."""
    return threads > 1 and threads >= (available_cores() if cores is None else cores)


def _list_quotas(proc: Path, mount: Path) -> Iterator[float]:
    """Yield every quota on this process, in cores: those of its group and of the groups above it."""
    try:
        lines = proc.read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        # Version 2 has one hierarchy without a name. Version 1 mounts each one by its controllers.
        root = mount / controllers
        group = root / path.lstrip("/")
        # In a container the path may be the host's, which is not mounted. The root is then its own group.
        for folder in (group, *group.parents):
            quota = _read_quota(folder)
            if quota is not None:
                yield quota
            if folder == root:
                break


def _read_quota(folder: Path) -> float | None:
    """Return the quota in a group's files (cgroup v2: cpu.max; v1: cpu.cfs_*), or None if there is none."""
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text(encoding="ascii")
            period = (folder / "cpu.cfs_period_us").read_text(encoding="ascii")
        # "max" and -1 stand for no quota.
        return float(quota) / float(period) if quota != "max" and float(quota) > 0 else None
    except (OSError, ValueError):
        return None
