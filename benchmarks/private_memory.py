"""Read this process's private memory. Measuring processes load this file by its path. Needs Linux."""

from pathlib import Path


def private_bytes() -> int:
    """Return the bytes that this process has written, which no other process can share.

    A file that is mapped does not count: processes share its pages, and the system may drop them.
    """
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Private_Dirty:"):
            return int(line.split()[1]) * 1024
    raise ValueError("Private_Dirty")
