"""Standard streams and arguments are UTF-8 whatever the locale is, and no state of them gives a traceback."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import RunPortvec, clean_environment

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX shells and locales")
TEXTS = ["café", "日本 \x85 x", "é\u2028", "\x1b[1m"]

# Each makes Python decode standard input otherwise, or more strictly, than usual.
LOCALES = {
    "C": {"LC_ALL": "C"},
    "ASCII": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "POSIX": {"LC_ALL": "POSIX", "PYTHONUTF8": "0"},
    "missing": {"LC_ALL": "xx_YY.ISO-8859-1", "LANG": "xx_YY.ISO-8859-1", "PYTHONUTF8": "0"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "ascii:strict": {"PYTHONIOENCODING": "ascii:strict"},
    "utf-8:strict": {"PYTHONIOENCODING": "utf-8:strict"},
    "utf-16": {"PYTHONIOENCODING": "utf-16"},
    "utf-8 mode": {"PYTHONUTF8": "1"},
    "legacy": {"PYTHONLEGACYWINDOWSSTDIO": "1"},
}


class Bytes:
    """Runs portvec as a process, with bytes for standard input, and returns bytes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(
        self, *args: object, stdin: bytes = b"", env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [
                sys.executable,
                "-m",
                "portvec",
                *(a if isinstance(a, bytes) else str(a) for a in args),
            ],
            input=stdin,
            cwd=self._folder,
            env=clean_environment(self._folder / "home", env or {}),
            capture_output=True,
            timeout=120,
        )


@pytest.fixture
def run(tmp_path: Path) -> Bytes:
    return Bytes(tmp_path)


def texts_of(output: bytes) -> list[str]:
    return [json.loads(line)["text"] for line in output.decode("utf-8").splitlines()]


@pytest.mark.parametrize("locale", LOCALES)
def test_standard_input_and_output_are_utf8(run: Bytes, tiny: Path, locale: str) -> None:
    content = "\n".join(TEXTS).encode()
    embedded = run("embed", tiny, stdin=b"\xef\xbb\xbf" + content, env=LOCALES[locale])
    assert (embedded.returncode, embedded.stderr) == (0, b"")
    assert texts_of(embedded.stdout) == TEXTS
    shown = run("search", tiny, "value", stdin=content, env=LOCALES[locale])
    assert "  café\n" in shown.stdout.decode("utf-8").replace("\r\n", "\n")


def check_not_utf8(result: subprocess.CompletedProcess[bytes], name: str, *, can_skip: bool = True) -> None:
    message = f"portvec: error: {name}, line 4: not UTF-8 (byte 0xE9 at column 4); convert it to UTF-8"
    message += ", or pass --on-error 'skip'\n" if can_skip else "\n"
    assert result.stderr.decode() == message.replace("\n", os.linesep)
    assert (result.returncode, result.stdout) == (1, b"")


NOT_UTF8 = b"a\n\nb\ncaf\xe9\n"


@pytest.mark.parametrize("locale", LOCALES)
def test_bytes_that_are_not_utf8_are_named(run: Bytes, tiny: Path, locale: str) -> None:
    check_not_utf8(run("embed", tiny, stdin=NOT_UTF8, env=LOCALES[locale]), "standard input")


def test_files_and_standard_input_have_the_same_error(run: Bytes, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(NOT_UTF8)
    for command in (["embed", tiny, "-o", "o.npy"], ["search", tiny, "x"]):
        can_skip = command[0] == "embed"
        check_not_utf8(run(*command, stdin=NOT_UTF8), "standard input", can_skip=can_skip)
        check_not_utf8(run(*command, "-i", "a.txt"), "a.txt", can_skip=can_skip)
    assert not (tmp_path / "o.npy").exists()


@posix
@pytest.mark.parametrize("locale", [*LOCALES, None])
def test_arguments(run: Bytes, tiny: Path, tmp_path: Path, locale: str | None) -> None:
    env = LOCALES[locale] if locale else {}
    embedded = run("embed", tiny, *(text.encode() for text in TEXTS), env=env)
    assert (embedded.returncode, embedded.stderr) == (0, b"")
    assert texts_of(embedded.stdout) == TEXTS


@posix
@pytest.mark.parametrize("command", ["embed A T", "search A T", "embed A good T"])
def test_arguments_that_are_not_utf8(run: Bytes, tiny: Path, command: str) -> None:
    arguments = [{"A": tiny, "T": b"caf\xe9"}.get(each, each) for each in command.split()]
    result = run(*arguments)
    assert result.returncode == 2
    assert rb"'caf\udce9' is not UTF-8 (byte 0xE9 at character 4); pass it in a file with -i" in result.stderr
    assert result.stderr.startswith(b"portvec: error: Invalid value for '")
    assert result.stderr.count(b"\n") == 1


@posix
def test_names_that_are_not_utf8(run: Bytes, tiny: Path, tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9"
    tiny.rename(os.fsdecode(name))
    for command in (["info", name], ["verify", name], ["embed", name, "x"], ["embed", tiny, "-i", name]):
        result = run(*command)
        assert result.returncode in (0, 1)  # tokenizers takes names in UTF-8 only
        assert len(result.stderr.decode("utf-8").splitlines()) <= 1
    missing = run("info", b"no\xe9")
    assert (
        missing.stderr == b"portvec: error: no\\udce9: no such folder; " + missing.stderr.split(b"; ", 1)[1]
    )


STRICT = {
    "dev": ("-X", "dev"),
    "error": ("-W", "error"),
    "encoding": ("-X", "warn_default_encoding", "-W", "error"),
    "isolated": ("-I",),
    "bytes": ("-bb",),
    "optimized": ("-OO",),
}


@pytest.mark.parametrize("mode", STRICT)
def test_strict_modes_of_python(tiny: Path, tiny_model: Path, tmp_path: Path, mode: str) -> None:
    (tmp_path / "texts.txt").write_text("café\n", encoding="utf-8")
    commands: list[list[object]] = [
        ["--help"],
        ["info", tiny],
        ["info", tiny_model],
        ["verify", tiny],
        ["embed", tiny, "-i", "texts.txt"],
        ["embed", tiny],
        ["embed", tiny, "-i", "missing"],
        ["embed", tiny, "x", "-o", "out.npy"],
        ["search", tiny, "x", "-i", "texts.txt"],
        ["export", tiny_model, "-o", "out", "--overwrite"],
        ["push", tiny, "owner/name"],
    ]
    code = (
        f"from portvec._cli.main import run\nfor each in {[list(map(str, c)) for c in commands]}: run(each)"
    )
    result = subprocess.run(
        [sys.executable, *STRICT[mode], "-c", code],
        input=b"",
        cwd=tmp_path,
        env=clean_environment(tmp_path / "home", {"HF_HUB_OFFLINE": "1"}),
        capture_output=True,
        timeout=300,
    )
    assert result.returncode == 0
    lines = result.stderr.decode("utf-8").splitlines()
    assert [line for line in lines if not line.startswith(("portvec: error: ", "out: ", "out.npy: "))] == []
    assert len(lines) == 5


def shell(command: str, tmp_path: Path, *args: object, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a line of the shell in which PORTVEC stands for the command."""
    portvec = f"{shlex.quote(sys.executable)} -m portvec"
    return subprocess.run(
        command.replace("PORTVEC", portvec),
        shell=True,
        cwd=tmp_path,
        env=clean_environment(tmp_path / "home", env),
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )


@posix
@pytest.mark.parametrize(
    "command", ["info A", "info A --json", "verify A", "embed A x", "search A x -i texts.txt"]
)
def test_output_that_cannot_be_written(tiny: Path, tmp_path: Path, command: str) -> None:
    (tmp_path / "texts.txt").write_text("a\n", encoding="utf-8")
    line = f"PORTVEC {command.replace('A', shlex.quote(str(tiny)))}"
    closed = shell(f"{line} >&-", tmp_path)
    assert closed.stderr == (
        "portvec: error: standard output: is closed; give the command somewhere to write\n"
    )
    assert closed.returncode == 1
    if Path("/dev/full").exists():
        full = shell(f"{line} > /dev/full", tmp_path)
        reason = "standard output: cannot be written (No space left on device)"
        assert full.stderr == f"portvec: error: {reason}\n"
        assert full.returncode == 1
    unread = shell(f"({line}; echo code $? >&2) | (exec <&-; sleep 1)", tmp_path)
    assert unread.stderr in ("code 0\n", "code 1\n")


@posix
def test_closed_standard_files(tiny: Path, tmp_path: Path) -> None:
    a = shlex.quote(str(tiny))
    assert "no text given" in shell(f"PORTVEC embed {a} <&-", tmp_path).stderr
    assert shell(f"PORTVEC embed {a} x <&- | wc -l", tmp_path).stdout.strip() == "1"
    assert shell(f"PORTVEC embed {a} x -o out.npy <&- >&- 2>&-", tmp_path).returncode == 0
    assert (
        shell(
            f"(sleep 1.5; echo a; sleep 0.2; echo b) | PORTVEC embed {a} -o b.npy 2>&-", tmp_path
        ).returncode
        == 0
    )
    assert shell("PORTVEC embed nowhere x 2>&-", tmp_path).returncode == 1


@posix
def test_files_do_not_take_the_place_of_closed_streams() -> None:
    """What a library writes to file 2 must not end up in a file of embeddings."""
    code = """
import os, sys
from portvec._cli.entry import main
for number in range(3):
    os.close(number)
sys.stdin = sys.stdout = sys.stderr = None
try:
    main()
finally:
    os._exit(os.open(os.devnull, os.O_RDONLY))
"""
    result = subprocess.run([sys.executable, "-c", code, "--version"], timeout=120)
    assert result.returncode > 2


def test_the_progress_bar_needs_no_standard_error(portvec: RunPortvec, tiny: Path) -> None:
    assert portvec("embed", tiny, "x", "--quiet").returncode == 0
