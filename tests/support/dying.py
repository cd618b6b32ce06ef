"""Children that die at one of the moments in which they change the disk."""

from __future__ import annotations

import subprocess
import sys
import textwrap

_PRELUDE = """
import os, pathlib, sys

_left = int(sys.argv[1])

def _count(step):
    def counted(*arguments, **options):
        global _left
        _left -= 1
        if _left == 0:
            os._exit(9)
        return step(*arguments, **options)
    return counted

os.fsync = _count(os.fsync)
os.replace = os.rename = _count(os.replace)
for _name in ("replace", "rename", "unlink"):
    setattr(pathlib.Path, _name, _count(getattr(pathlib.Path, _name)))
"""


def lives(script: str, moment: int) -> bool:
    """Run a script in a child that dies before the given one of its writes, moves and deletions.

    Return whether the script came to its end, because it has fewer of them.
    """
    code = _PRELUDE + textwrap.dedent(script)
    child = subprocess.run([sys.executable, "-c", code, str(moment)], capture_output=True, text=True)
    assert child.returncode in (0, 9), child.stderr
    return child.returncode == 0
