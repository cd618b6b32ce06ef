"""Run a command, and print when it started, its wall time and peak memory as JSON. Needs POSIX.

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
    started = time.monotonic()  # a clock that all processes share
    child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=devices)
    _, status, usage = os.wait4(child, 0)
    found = {"started": started, "seconds": time.monotonic() - started}
    found["peak_bytes"] = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({**found, "code": os.waitstatus_to_exitcode(status)}))
