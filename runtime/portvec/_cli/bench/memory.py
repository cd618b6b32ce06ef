"""How much memory this process uses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def read_resident() -> int | None:
    """Return how many bytes of this process are in memory now; None if the system does not say."""
    if sys.platform == "linux":
        return _read_status("VmRSS")
    if sys.platform == "win32":
        return None
    listed = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(os.getpid())], capture_output=True, text=True, check=False
    ).stdout.strip()
    return int(listed) * 1024 if listed.isdecimal() else None


def read_peak() -> int | None:
    """Return the most bytes that were in memory at once; None if the system does not say."""
    if sys.platform == "linux":  # getrusage there includes the parent's memory from before exec
        return _read_status("VmHWM")
    if sys.platform == "win32":
        return None
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _read_status(field: str) -> int | None:
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    except OSError:  # a sandbox without /proc
        pass
    return None
