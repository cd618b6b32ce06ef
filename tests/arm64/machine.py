"""The emulated machine: where its files are, and how to run a program on it."""

from __future__ import annotations

import os
import platform
import shlex
from pathlib import Path

from arm64.cpus import Cpu

PROJECT = Path(__file__).parent.parent.parent
PROJECT_PATH = os.pathsep.join(str(PROJECT / name) for name in ("runtime", "tests", "tests/support"))


def is_this_one() -> bool:
    """Tell whether the machine that runs this is 64-bit ARM itself."""
    return platform.machine() in ("aarch64", "arm64")


class Machine:
    """Where `prepare` puts things, all below one folder.

    Attributes:
        root: its root folder. qemu looks there first for every file that a program opens.
        wheels: where its Python finds packages.
        qemu: the emulator.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.root = self.folder / "root"
        self.wheels = self.root / "usr" / "lib" / "python3" / "dist-packages"
        self.qemu = self.folder / "qemu-aarch64"

    @property
    def python(self) -> Path:
        """The Python of its distribution."""
        return min(self.root.glob("usr/bin/python3.*"), key=lambda path: len(path.name))

    @property
    def python_version(self) -> str:
        """Like "3.11"."""
        return self.python.name.removeprefix("python")

    def start(self, cpu: Cpu) -> Path:
        """Give the machine this processor, and return a command that runs its Python."""
        cpuinfo = self.root / "proc" / "cpuinfo"
        cpuinfo.parent.mkdir(exist_ok=True)
        # onnxruntime reads this file. It crashes if no ARM processor is in it, as in the host's, or if the
        # file promises instructions that the emulated processor lacks.
        cpuinfo.write_text(cpu.cpuinfo(os.cpu_count() or 1))
        launcher = self.folder / cpu.model
        emulate = shlex.join(map(str, (self.qemu, "-L", self.root, "-0", launcher, self.python)))
        # Argument 0 makes the launcher sys.executable, so child processes are emulated too.
        launcher.write_text(f'#!/bin/sh\nQEMU_CPU={cpu.model} exec {emulate} "$@"\n')
        launcher.chmod(0o755)
        return launcher

    def environment(self, **variables: str) -> dict[str, str]:
        """Return environment variables for its programs: ours, without those of our Python."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTHON", "LD_", "VIRTUAL_ENV", "QEMU_"))
        }
        return {**kept, "PYTHONPATH": PROJECT_PATH, "HF_HUB_OFFLINE": "1", **variables}
