"""Compile host.cpp against onnxruntime's C API: with the library of a wheel, and with Debian 13's own.

    python tests/text_input/prepare.py FOLDER ENVIRONMENT

ENVIRONMENT is a virtual environment that has onnxruntime. Wheels have no header, so Debian's serves both.
Packages are unpacked in FOLDER and never installed, and no privileges are needed. FOLDER/host and
FOLDER/host-debian are the programs; FOLDER/include and FOLDER/lib are for other programs.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

RELEASE = "trixie"
PACKAGES = ("libonnxruntime-dev", "libstdc++6")
TOOLS = ("apt-get", "dpkg-deb", "g++")
SOURCES = Path("/etc/apt/sources.list.d/debian.sources")
SOURCE = Path(__file__).with_name("host.cpp")

APT_CONF = """\
Dir::State "{apt}";
Dir::State::status "{apt}/status";
Dir::Cache "{apt}";
Dir::Etc::sourcelist "{apt}/debian.sources";
Dir::Etc::sourceparts "-";
APT::Sandbox::User "root";
Acquire::Languages "none";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
"""

# Debian's library needs a newer C library than the one here may be, so its own loader starts the program. It
# lists operators twice at the start, and says so a thousand times.
LAUNCHER = """\
#!/bin/sh
exec '{lib}/ld-linux-x86-64.so.2' --library-path '{lib}' '{program}' "$@"
"""


def main(folder: str, environment: str) -> None:
    """Build everything from scratch."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing or not SOURCES.is_file():
        sys.exit(
            f"programs for the C API need {', '.join(missing) or SOURCES}; build them on Debian 12 or newer, "
            "with the package g++"
        )
    target = Path(folder).resolve()
    shutil.rmtree(target, ignore_errors=True)
    root = target / "debian"
    for package in _download(target / "apt"):
        _run("dpkg-deb", "-x", package, root)
    shutil.rmtree(target / "apt")
    (target / "include").symlink_to(root / "usr" / "include" / "onnxruntime")
    (target / "lib").mkdir()
    (wheel,) = (
        Path(environment).resolve().glob("lib/python*/site-packages/onnxruntime/capi/libonnxruntime.so.*")
    )
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):
        (target / "lib" / name).symlink_to(wheel)
    _compile(target, "host", f"-L{target / 'lib'}", "-lonnxruntime", f"-Wl,-rpath,{target / 'lib'}")
    (debian,) = root.glob("usr/lib/*/libonnxruntime.so")
    program = _compile(target, "host-debian.bin", debian, "-Wl,--unresolved-symbols=ignore-in-shared-libs")
    launcher = target / "host-debian"
    launcher.write_text(LAUNCHER.format(lib=debian.parent, program=program))
    launcher.chmod(0o755)


def _download(apt: Path) -> list[Path]:
    """Return the packages of the release, and what they depend on."""
    for name in ("lists/partial", "archives/partial"):
        (apt / name).mkdir(parents=True)
    (apt / "status").touch()  # nothing is installed, so apt fetches all that they depend on
    (apt / "apt.conf").write_text(APT_CONF.format(apt=apt))
    # The machine's own mirror, at that release.
    first = SOURCES.read_text().split("\n\n")[0]
    (apt / "debian.sources").write_text(re.sub(r"(?m)^Suites:.*$", f"Suites: {RELEASE}", first))
    apt_get = ("apt-get", f"--config-file={apt / 'apt.conf'}", "--quiet", "--quiet")
    _run(*apt_get, "update")
    _run(*apt_get, "install", "--download-only", "--yes", "--no-install-recommends", *PACKAGES)
    return sorted((apt / "archives").glob("*.deb"))


def _compile(target: Path, name: str, *options: str | Path) -> Path:
    program = target / name
    flags = ("-O1", "-Wall", "-Wextra", "-std=c++17", f"-I{target / 'include'}")
    _run("g++", *flags, SOURCE, "-o", program, *options)
    return program


def _run(*command: str | Path) -> None:
    if subprocess.run(command).returncode != 0:
        sys.exit(f"{command[0]} failed, see above")


if __name__ == "__main__":
    main(*sys.argv[1:])
