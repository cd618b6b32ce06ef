"""Fetching the documentation packages of Debian that hold the texts.

apt keeps its state in the working folder, and packages are unpacked there: nothing is installed, and no
privileges are needed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

WORDNET = "wordnet-base"
# Manuals in HTML, and where their pages are. All have permissive licences, or are in the public domain.
MANUALS = {
    "apache2-doc": "usr/share/doc/apache2-doc/manual/en",
    "postgresql-doc-15": "usr/share/doc/postgresql-doc-15/html",
    "python-django-doc": "usr/share/doc/python-django-doc/html",
    "python3.11-doc": "usr/share/doc/python3.11/html",
    "sqlite3-doc": "usr/share/doc/sqlite3",
}

_APT = """\
Dir::State "{state}";
Dir::State::status "{state}/status";
Dir::Cache "{state}";
Dir::Etc::sourcelist "/etc/apt/sources.list";
APT::Sandbox::User "root";
Acquire::Languages "none";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""


def fetch_packages(folder: Path) -> None:
    """Unpack each package into `folder`/NAME, unless it is there."""
    missing = [name for name in (WORDNET, *MANUALS) if not (folder / name).is_dir()]
    if not missing:
        return
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            sys.exit(
                f"{tool} is missing, which Debian 12 has; train there, for example in a container: debian:12"
            )
    state = (folder / "apt").absolute()
    (state / "lists/partial").mkdir(parents=True, exist_ok=True)
    (state / "archives/partial").mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    conf = state / "apt.conf"
    conf.write_text(_APT.format(state=state), encoding="utf-8")
    apt_get = ["apt-get", f"--config-file={conf}", "--quiet", "--quiet"]
    subprocess.run([*apt_get, "update"], check=True)
    for name in missing:
        subprocess.run([*apt_get, "download", name], check=True, cwd=state)
        (package,) = state.glob(f"{name}_*.deb")
        unpacked = state / name
        shutil.rmtree(unpacked, ignore_errors=True)
        subprocess.run(["dpkg-deb", "--extract", package, unpacked], check=True)
        unpacked.rename(folder / name)
