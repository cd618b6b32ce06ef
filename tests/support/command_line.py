"""Two ways to run the command line: inside this process, which is fast, and as a process of its own."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from unittest import mock

Result = subprocess.CompletedProcess[str]


class RunPortvec(Protocol):
    """Run `portvec` with arguments, text on standard input, a working folder, and environment variables."""

    def __call__(self, *args: object, stdin: str = ..., cwd: Path | None = ..., **env: str) -> Result: ...


def clean_environment(home: Path, env: dict[str, str]) -> dict[str, str]:
    """Return this process's environment with an empty home folder and without the user's settings."""
    home.mkdir(exist_ok=True)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HF_", "XDG_", "PYTEST_")) and name != "ORT_DISABLE_TELEMETRY"
    }
    return {**kept, "HOME": str(home), "USERPROFILE": str(home), "COLUMNS": "80", **env}


def process_runner(folder: Path) -> RunPortvec:
    """Return a runner that starts a process in `folder`, where its home folder is too."""

    def run(*args: object, stdin: str = "", cwd: Path | None = None, **env: str) -> Result:
        return subprocess.run(
            [sys.executable, "-m", "portvec", *map(str, args)],
            input=stdin,
            cwd=cwd or folder,
            env=clean_environment(folder / "home", env),
            capture_output=True,
            encoding="utf-8",
            timeout=120,
        )

    return run


def in_process_runner(folder: Path) -> RunPortvec:
    """Return a runner that calls the command line's own function, with streams of its own.

    huggingface_hub reads its variables when it is imported, so they have no effect here: a test that sets
    them needs `process_runner`.
    """

    def run(*args: object, stdin: str = "", cwd: Path | None = None, **env: str) -> Result:
        from portvec._cli.main import run as main

        late = [name for name in env if name.startswith("HF_")]
        assert not late, f"{late} are read when huggingface_hub is imported; use the fixture portvec_process"
        arguments = [str(argument) for argument in args]
        out, err = _stream(), _stream()
        with (
            mock.patch.dict(os.environ, clean_environment(folder / "home", env), clear=True),
            mock.patch.multiple(sys, stdin=_stream(stdin), stdout=out, stderr=err),
            _working_folder(cwd or folder),
        ):
            code = main(arguments)
        return subprocess.CompletedProcess(arguments, code, _text(out), _text(err))

    return run


def _stream(content: str = "") -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(content.encode()), encoding="utf-8")


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode().replace("\r\n", "\n")


@contextmanager
def _working_folder(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
