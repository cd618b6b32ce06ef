"""How many processor cores this process may use."""

from __future__ import annotations

import os


def available_cores() -> int:
    """Return the number of cores the process is allowed to run on, at least 1."""
    if hasattr(os, "sched_getaffinity"):  # Linux; honours taskset and container cpusets
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
