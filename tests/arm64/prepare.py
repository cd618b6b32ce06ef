"""Build an emulated 64-bit ARM machine: qemu, the distribution's Python, and the wheels that pip picks there.

    PYTHONPATH=tests:tests/support python -m arm64.prepare FOLDER

Needs apt-get and dpkg-deb, and no privileges: apt keeps its state in FOLDER, packages are unpacked there
and never installed. `make test-arm64` runs it once.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import time
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement

from arm64.machine import Machine, is_this_one

PACKAGES = ("python3", "libstdc++6", "libgomp1")
# The emulator's package, and the name that it got in Debian 13.
QEMU_PACKAGES = ("qemu-user-static", "qemu-user")
# Newest first. Each wheel names the oldest glibc that it runs on.
PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")
# Packages for the tests that run there.
TEST_PACKAGES = ("pytest", "pandas")

APT_CONF = """\
Dir::State "{apt}";
Dir::State::status "{apt}/status";
Dir::Cache "{apt}";
Dir::Etc::sourcelist "{sources}";
Dir::Etc::sourceparts "-";
APT::Architecture "arm64";
APT::Architectures {{ "arm64"; "{host}"; }};
APT::Sandbox::User "root";
Acquire::Languages "none";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
"""


def main(folder: str) -> None:
    """Build the machine from scratch."""
    if is_this_one():
        print("this machine is 64-bit ARM itself: nothing to emulate")
        return
    missing = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    if missing:
        sys.exit(
            f"make test-arm64 needs {' and '.join(missing)}, which Debian and Ubuntu have; run it there "
            "(in a container: debian:12), or run 'make test' on a 64-bit ARM machine"
        )
    start = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    machine = Machine(Path(folder))
    machine.root.mkdir(parents=True)
    _unpack_packages(machine, *_download_packages(machine.folder / "apt"))
    shutil.rmtree(machine.folder / "apt")
    _install_wheels(machine)
    size = sum(path.lstat().st_size for path in machine.folder.rglob("*")) / 1e6
    print(f"{folder}: Python {machine.python_version} and wheels, {size:.0f} MB,", end=" ")
    print(f"prepared in {time.monotonic() - start:.0f} s")


def _download_packages(apt: Path) -> tuple[list[Path], Path]:
    """Return the packages of the ARM machine, and the emulator's."""
    for name in ("lists/partial", "archives/partial", "host"):
        (apt / name).mkdir(parents=True)
    (apt / "status").touch()  # nothing is installed, so apt fetches everything that Python needs
    host = _output("dpkg", "--print-architecture")
    conf = apt / "apt.conf"
    conf.write_text(APT_CONF.format(apt=apt, sources=_sources(), host=host))
    apt_get = ("apt-get", f"--config-file={conf}", "--quiet", "--quiet")
    _run(*apt_get, "update")
    _run(*apt_get, "install", "--download-only", "--yes", "--no-install-recommends", *PACKAGES)
    for name in QEMU_PACKAGES:
        _run(*apt_get, "download", f"{name}:{host}", cwd=apt / "host")
        found = next((apt / "host").glob(f"{name}_*.deb"))
        if found.stat().st_size > 1e6:  # else a package that only requires the other
            return sorted((apt / "archives").glob("*.deb")), found
    sys.exit(f"none of the packages {', '.join(QEMU_PACKAGES)} holds the emulator")


def _sources() -> Path:
    """Return the distribution's own list of package sources. Third parties may have put others beside it."""
    etc = Path("/etc/apt")
    for name in ("sources.list.d/debian.sources", "sources.list.d/ubuntu.sources", "sources.list"):
        if (etc / name).is_file():
            return etc / name
    sys.exit(
        f"{etc}: neither sources.list nor sources.list.d/debian.sources, so apt has no source of packages"
    )


def _unpack_packages(machine: Machine, packages: list[Path], qemu: Path) -> None:
    for package in packages:
        _run("dpkg-deb", "-x", package, machine.root)
    if not (machine.root / "lib").exists():  # since Debian 13, this link is in a package that is not fetched
        (machine.root / "lib").symlink_to("usr/lib")
    # The package holds emulators of thirty processors, 370 MB.
    content = qemu.with_suffix(".tar")
    with content.open("wb") as file:
        subprocess.run(["dpkg-deb", "--fsys-tarfile", qemu], stdout=file, check=True)
    with tarfile.open(content) as files:
        names = [f"./usr/bin/{name}" for name in ("qemu-aarch64-static", "qemu-aarch64")]
        member = next(files.getmember(name) for name in names if name in files.getnames())
        emulator = files.extractfile(member)
        assert emulator is not None
        machine.qemu.write_bytes(emulator.read())
    machine.qemu.chmod(0o755)


def _install_wheels(machine: Machine) -> None:
    """Install what the runtime and its extra `fast` require, as pip would on that machine."""
    entries = map(Requirement, requires("portvec") or [])
    wanted = [e for e in entries if e.marker is None or e.marker.evaluate({"extra": "fast"})]
    platforms = [argument for name in PLATFORMS for argument in ("--platform", name)]
    _run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--target", machine.wheels),
        *("--only-binary=:all:", "--implementation", "cp", "--python-version", machine.python_version),
        *platforms,
        *(f"{entry.name}{entry.specifier}" for entry in wanted),
        *TEST_PACKAGES,
    )


def _run(*command: str | Path, cwd: Path | None = None) -> None:
    if subprocess.run(command, cwd=cwd).returncode != 0:
        hint = "; Ubuntu has arm64 packages at ports.ubuntu.com" if command[0] == "apt-get" else ""
        sys.exit(f"{command[0]} failed, see above{hint}")


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout.strip()


if __name__ == "__main__":
    main(sys.argv[1])
