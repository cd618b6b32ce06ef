"""How many processor cores this process may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from math import ceil
from pathlib import Path

_PROC = Path("/proc/self/cgroup")
_MOUNT = Path("/sys/fs/cgroup")


def available_cores() -> int:
    """Return the number of cores the process is allowed to use, at least 1.

    Honours affinity (taskset, container cpusets) and, on Linux, CPU quotas of control groups (docker --cpus,
    Kubernetes limits), which are rounded up.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cores, *map(ceil, _quotas())]))


def use_no_pool_after_fork() -> None:
    """Keep `tokenizers` from warning at a fork, and from waiting in the child for threads that are not there.

    As it does itself, but without a warning, unless its environment variable is set.
    """
    if not hasattr(os, "register_at_fork"):
        return
    name = "TOKENIZERS_PARALLELISM"
    unset: list[bool] = []

    def before() -> None:
        unset.append(name not in os.environ)
        if unset[-1]:
            os.environ[name] = "false"

    def after_in_parent() -> None:
        if unset.pop():
            os.environ.pop(name, None)

    os.register_at_fork(before=before, after_in_parent=after_in_parent)


def _quotas() -> Iterator[float]:
    """Yield every quota on this process in cores: its group's and those of the groups above."""
    try:
        lines = _PROC.read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        # Version 2 has one hierarchy and no names; version 1 mounts each by its controllers.
        root = _MOUNT / controllers
        group = root / path.lstrip("/")
        # In a container the path may be the host's, which is not mounted: then its own group is the root.
        for folder in (group, *group.parents):
            quota = _quota(folder)
            if quota is not None:
                yield quota
            if folder == root:
                break


def _quota(folder: Path) -> float | None:
    """Return the quota that a group's files tell (cgroup v2: cpu.max; v1: cpu.cfs_*), None without one."""
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text(encoding="ascii")
            period = (folder / "cpu.cfs_period_us").read_text(encoding="ascii")
        # "max" and -1 mean none.
        return float(quota) / float(period) if quota != "max" and float(quota) > 0 else None
    except (OSError, ValueError):
        return None
