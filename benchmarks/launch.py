"""Run a command, and print its wall time and peak memory as JSON. Needs POSIX.

    python -I -S launch.py COMMAND ...

This runs in a small process of its own, because the kernel counts the parent's memory at the fork toward the
child's peak.
"""

import json
import os
import sys
import time

if __name__ == "__main__":
    devices = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1)]
    start = time.perf_counter()
    child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=devices)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - start
    unit = 1 if sys.platform == "darwin" else 1024
    peak = usage.ru_maxrss * unit
    print(json.dumps({"seconds": seconds, "peak_bytes": peak, "code": os.waitstatus_to_exitcode(status)}))
