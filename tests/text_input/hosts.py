"""The hosts: onnxruntime's versions, languages, processors and builds that run the same file."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from arm64.cpus import CPUS, Cpu
from arm64.machine import Machine, is_this_one

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "text-in"
ARM64 = ROOT / "build" / "arm64"

# The lowest that portvec allows, then some of each year, then the newest. The Makefile installs them.
PYTHONS = ("1.17", "1.20", "1.23", "newest")

STRINGS, CODE_POINTS, ORT = "strings", "codepoints", "ort"


@dataclass(frozen=True)
class Host:
    """A program that runs a graph on the texts of a job.

    Attributes:
        name: of the host, for the table.
        program: its first arguments; GRAPH, JOB and RESULT follow.
        graph: which file it runs: strings, codepoints, or ort for the first in onnxruntime's own format.
        has_nul: whether it takes U+0000 in a text.
        needs: files that must exist.
        cpu: the processor to emulate. Only one at a time: they share a machine.
    """

    name: str
    program: list[str]
    graph: str = STRINGS
    has_nul: bool = True
    needs: tuple[Path, ...] = ()
    cpu: Cpu | None = None

    def command(self) -> tuple[list[str], dict[str, str] | None]:
        """Return its program, and the environment variables for it; None for those of this process."""
        if self.cpu is None:
            return self.program, None
        machine = Machine(ARM64)
        return [str(machine.start(self.cpu)), *self.program], machine.environment()

    @property
    def missing(self) -> str:
        """What it needs and does not find, or nothing."""
        absent = next((path for path in self.needs if not path.exists()), None)
        return "" if absent is None else f"{absent.relative_to(ROOT)} missing, run make test-text-in"


def _python(version: str, name: str, graph: str = STRINGS) -> Host:
    python = BUILD / f"python-{version}" / "bin" / "python"
    return Host(name, [str(python), str(HERE / "host.py")], graph, needs=(python,))


def _node(package: str, name: str, graph: str) -> Host:
    # Node looks for packages beside the script that imports them.
    script = BUILD / "node" / "host.mjs"
    packages = BUILD / "node" / "node_modules"
    if packages.is_dir():
        shutil.copy(HERE / script.name, script)
    node = shutil.which("node") or "node"
    # The bindings of onnxruntime-node and -web end a string at U+0000.
    return Host(name, [node, str(script), package], graph, graph != STRINGS, needs=(packages,))


def _emulated() -> list[Host]:
    if is_this_one():
        return []
    script = [str(HERE / "host.py")]
    return [Host(f"Python, {cpu.name}", script, needs=(ARM64 / "qemu-aarch64",), cpu=cpu) for cpu in CPUS]


def hosts() -> list[Host]:
    """Return all hosts, those that cannot run here too."""
    return [
        *(_python(version, "Python") for version in PYTHONS),
        _python("newest", "Python, code points", CODE_POINTS),
        _python("newest", "Python, .ort file", ORT),
        Host("C API, library of the wheel", [str(BUILD / "c" / "host")], needs=(BUILD / "c" / "host",)),
        Host(
            "C API, Debian 13's build",
            [str(BUILD / "c" / "host-debian")],
            needs=(BUILD / "c" / "host-debian",),
        ),
        _node("onnxruntime-node", "Node.js", STRINGS),
        _node("onnxruntime-node", "Node.js, code points", CODE_POINTS),
        _node("onnxruntime-web", "WebAssembly", STRINGS),
        _node("onnxruntime-web", "WebAssembly, code points", CODE_POINTS),
        *_emulated(),
    ]
