"""The entry point of the command line. It imports nothing slow until signals are handled."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from portvec._cli.signals import end_on_signals, stop_on_signals


def main() -> NoReturn:
    """Run the command line. It exits with 0, 1 or 2, and prints one line to stderr if it fails.

    A signal that stops it gives 128 and its number.
    """
    _open_standard_files()
    stop_on_signals()
    from portvec._cli.main import run

    # click would expand the process's own arguments on Windows, texts included.
    code = run(sys.argv[1:])
    end_on_signals()
    sys.exit(code)


def _open_standard_files() -> None:
    """Open the null device in place of a standard file that is closed.

    Otherwise, the next file that is opened takes its number, and what libraries print goes into that file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
