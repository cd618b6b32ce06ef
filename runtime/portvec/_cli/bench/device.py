"""The hardware and software that a measurement ran on."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from portvec._cores import available_cores
from portvec._tokenization.backends import ACCELERATORS

_BACKENDS = tuple(accelerator.package for accelerator in ACCELERATORS.values())
PACKAGES = ("portvec", "onnxruntime", "numpy", "tokenizers", *_BACKENDS, "model2vec", "fastembed")


def describe(packages: tuple[str, ...] = PACKAGES) -> dict[str, Any]:
    """Return processor, board, cores, memory, system and versions as JSON values."""
    return {
        "cpu": cpu_model(),
        "board": _board(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "cores_available": available_cores(),
        "memory_bytes": _total_memory(),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": {name: found for name in packages if (found := _version(name))},
    }


def cpu_model() -> str:
    """Return the processor's name, or its architecture if the system does not say."""
    if sys.platform == "linux":
        facts = _cpuinfo()
        if "model name" in facts:
            return facts["model name"]
        if "CPU part" in facts:  # 64-bit ARM has only numbers
            return f"ARM implementer {facts.get('CPU implementer')} part {facts['CPU part']}"
    elif sys.platform == "darwin":
        return _output("sysctl", "-n", "machdep.cpu.brand_string") or platform.machine()
    return platform.processor() or platform.machine()


def _cpuinfo() -> dict[str, str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def _board() -> str | None:
    """Return the board's name, which a Raspberry Pi or a Jetson has."""
    try:
        return Path("/proc/device-tree/model").read_text(encoding="utf-8").strip("\0 \n") or None
    except (OSError, UnicodeDecodeError):
        return None


def _total_memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
