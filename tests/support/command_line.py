"""The command line in a process of its own, with an empty home folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Protocol


class RunPortvec(Protocol):
    def __call__(
        self, *args: object, stdin: str = ..., cwd: Path = ..., **env: str
    ) -> subprocess.CompletedProcess[str]: ...


def run_portvec_in(folder: Path) -> RunPortvec:
    """Return a function that runs the command line in `folder`, where its home folder is too."""

    def run(
        *args: object, stdin: str = "", cwd: Path = folder, **env: str
    ) -> subprocess.CompletedProcess[str]:
        home = folder / "home"
        home.mkdir(exist_ok=True)
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("HF_", "XDG_", "PYTEST_")) and name != "ORT_DISABLE_TELEMETRY"
        }
        return subprocess.run(
            [sys.executable, "-m", "portvec", *map(str, args)],
            input=stdin,
            cwd=cwd,
            env={**kept, "HOME": str(home), "USERPROFILE": str(home), "COLUMNS": "80", **env},
            capture_output=True,
            encoding="utf-8",
            timeout=120,
        )

    return run
