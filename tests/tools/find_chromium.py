"""Find a Chromium, or fetch one: write a program `chromium` into a folder that runs it.

    python tests/tools/find_chromium.py FOLDER

An installed one is used if there is one. Otherwise Debian's packages are unpacked in FOLDER, which needs
apt-get and no privileges, and on other systems Playwright downloads its own.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

INSTALLED = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PACKAGE = "chromium"
APT_CONF = """\
Dir::State "{apt}";
Dir::State::status "{apt}/status";
Dir::Cache "{apt}";
APT::Sandbox::User "root";
Acquire::Languages "none";
#clear APT::Update::Post-Invoke;
#clear DPkg::Post-Invoke;
"""


def main(folder: Path) -> None:
    """Write the program, and run it once."""
    folder.mkdir(parents=True, exist_ok=True)
    installed = next(filter(None, map(shutil.which, INSTALLED)), None)
    if installed is not None:
        command = shlex.quote(installed)
    elif shutil.which("apt-get") and shutil.which("dpkg-deb"):
        command = _unpack(folder.absolute())
    else:
        command = _download()
    program = folder / "chromium"
    program.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    program.chmod(0o755)
    try:
        version = subprocess.run(
            [program, "--version"], check=True, capture_output=True, encoding="utf-8"
        ).stdout
    except subprocess.CalledProcessError as error:
        sys.exit(f"{program} does not run: {error.stderr.strip()}\ninstall Chromium or Chrome, and try again")
    print(version.strip())


def _unpack(folder: Path) -> str:
    """Unpack Chromium and what it requires beside the installed packages; return the command that runs it."""
    root, apt = folder / "root", folder / "apt"
    shutil.rmtree(root, ignore_errors=True)
    for path in (root, apt / "lists/partial", apt / "archives/partial"):
        path.mkdir(parents=True, exist_ok=True)
    # A copy, since apt locks the folder in which it is.
    shutil.copyfile("/var/lib/dpkg/status", apt / "status")
    conf = apt / "apt.conf"
    conf.write_text(APT_CONF.format(apt=apt))
    apt_get = ("apt-get", f"--config-file={conf}", "--quiet", "--quiet")
    _run(*apt_get, "update")
    _run(*apt_get, "install", "--download-only", "--yes", "--no-install-recommends", PACKAGE)
    for package in sorted((apt / "archives").glob("*.deb")):
        _run("dpkg-deb", "-x", package, root)
    shutil.rmtree(apt)
    libraries = sorted(
        {path.parent for path in root.glob("usr/lib/**/*.so*")} | set(root.glob("lib/*-linux-gnu"))
    )
    variables = {"LD_LIBRARY_PATH": ":".join(map(str, libraries))}
    if not Path("/etc/fonts").exists():
        variables["FONTCONFIG_SYSROOT"] = str(root)
    settings = (f"{name}={shlex.quote(value)}" for name, value in variables.items())
    return f"env {' '.join(settings)} {shlex.quote(str(root / 'usr/lib/chromium/chromium'))}"


def _download() -> str:
    from playwright.sync_api import sync_playwright

    _run(sys.executable, "-m", "playwright", "install", "chromium")
    with sync_playwright() as playwright:
        return shlex.quote(playwright.chromium.executable_path)


def _run(*command: str | Path) -> None:
    if subprocess.run(command).returncode != 0:
        sys.exit(f"{command[0]} failed, see above; install Chromium or Chrome, and try again")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
