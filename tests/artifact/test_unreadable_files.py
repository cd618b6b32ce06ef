"""Files that are no files, or far too large, or nested without end: refused before they are read."""

from __future__ import annotations

import json
import mmap
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from command_line import RunPortvec
from damage import edit, leave_to_tokenizers, replace_file
from portvec import StaticEmbedder, verify
from portvec._hub.client import _read_listed_files
from portvec.errors import ArtifactError, SourceError
from portvec_export import export_model
from portvec_export._source.card import read_front_matter

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs pipes, devices and sparse files")

LISTED = [
    "portvec.graph",
    "portvec.vocabulary",
    "onnx/model.onnx_data",
    "tokenizer.json",
    "conformance.json",
    "config.json",
]
NESTED = "[" * 100_000
HUGE = 20 * 10**9


def pipe(path: Path) -> None:
    """Reading it waits until somebody writes to it."""
    path.unlink()
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def huge(path: Path) -> None:
    """It takes no space on the disk."""
    os.truncate(path, HUGE)


SPECIAL = {"pipe": pipe, "device": endless, "folder": folder}
NOT_A_FILE = "cannot be read (not a regular file); check the file and its permissions"
LIMIT = r"20,000,000,000 bytes, and such a file has at most [\d,]+"


def run(code: str, *arguments: Path) -> str:
    """Run code that prints an error, in a process that may hang."""
    body = f"import sys, resource; from pathlib import Path; folder = Path(sys.argv[1])\n{code}"
    limit = (
        "resource.setrlimit(resource.RLIMIT_DATA, (4 << 30, 4 << 30))\n" if sys.platform == "linux" else ""
    )
    command = [sys.executable, "-c", body.replace("\n", f"\n{limit}", 1), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return result.stdout


LOAD = """
from portvec import StaticEmbedder
from portvec.errors import PortvecError
try:
    StaticEmbedder.load(folder)
except PortvecError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("name", LISTED)
def test_listed_file_that_is_none(name: str, kind: str, tiny: Path) -> None:
    SPECIAL[kind](tiny / name)
    assert run(LOAD, tiny) == f"ArtifactError {tiny / name}: {NOT_A_FILE}\n"


VERIFY = LOAD.replace("StaticEmbedder.load", "verify").replace("import StaticEmbedder", "import verify")


@pytest.mark.parametrize("kind", SPECIAL)
def test_manifest_that_is_no_file(kind: str, tiny: Path) -> None:
    SPECIAL[kind](tiny / "portvec.json")
    assert run(VERIFY, tiny) == f"ArtifactError {tiny / 'portvec.json'}: {NOT_A_FILE}\n"


@pytest.mark.parametrize("code", [LOAD, VERIFY])
def test_huge_manifest(code: str, tiny: Path) -> None:
    huge(tiny / "portvec.json")
    assert re.fullmatch(
        rf"ArtifactError .*portvec\.json: cannot be read \({LIMIT}\); check the file .*\n", run(code, tiny)
    )


def set_size(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda manifest: manifest["files"][name].update(size=HUGE)


NANOTOKEN = LOAD.replace("load(folder", "load(folder, tokenizer='nanotoken'")


@pytest.mark.parametrize(("name", "code"), [("tokenizer.json", LOAD), ("conformance.json", NANOTOKEN)])
def test_huge_text_files_with_a_fitting_manifest(name: str, code: str, uncompiled: Path) -> None:
    huge(uncompiled / name)
    edit(uncompiled, set_size(name))
    assert re.fullmatch(
        rf"ArtifactError .*{re.escape(name)}: {LIMIT}; do not use this artifact\n", run(code, uncompiled)
    )


def test_huge_vocabulary_with_a_fitting_manifest(tiny: Path) -> None:
    huge(tiny / "portvec.vocabulary")
    edit(tiny, set_size("portvec.vocabulary"))
    assert re.fullmatch(
        rf"ArtifactError .*portvec\.vocabulary: {LIMIT}; do not use this artifact\n", run(LOAD, tiny)
    )


def test_huge_graph_with_a_fitting_manifest(tiny: Path) -> None:
    name = "portvec.graph"
    huge(tiny / name)
    edit(tiny, set_size(name))
    message = "not an ONNX graph (20,000,000,000 bytes, and ONNX files have less than 2,147,483,648)"
    assert run(LOAD, tiny) == f"ArtifactError {tiny / name}: {message}; export again\n"


def test_graph_of_nothing_but_zeros(tiny: Path) -> None:
    size = (1 << 31) - 1
    os.truncate(tiny / "portvec.graph", size)
    edit(tiny, lambda manifest: manifest["files"]["portvec.graph"].update(size=size))
    assert "portvec.graph: not an ONNX graph (" in run(LOAD, tiny)


def test_graph_of_very_many_fields(tiny: Path) -> None:
    replace_file(tiny, "portvec.graph", b"\x42\x00" * 5_000_000)  # operator sets without content
    message = "holds more than 65,536 fields, which no portvec artifact has; do not use this artifact"
    assert run(LOAD, tiny) == f"ArtifactError {tiny / 'portvec.graph'}: {message}\n"


def test_nested_manifest(tiny: Path, tmp_path: Path) -> None:
    (tiny / "portvec.json").write_text(NESTED)
    with pytest.raises(ArtifactError, match=r"portvec\.json: not valid JSON \(nested too deeply\); export"):
        StaticEmbedder.load(tiny)
    assert _read_listed_files(tiny / "portvec.json") == []


def test_nested_tokenizer_and_recorded_texts(tiny: Path) -> None:
    replace_file(tiny, "conformance.json", NESTED.encode())
    with pytest.raises(
        ArtifactError, match=r"conformance\.json: not a list of recorded texts \(nested too d"
    ):
        verify(tiny)
    leave_to_tokenizers(tiny)
    replace_file(tiny, "tokenizer.json", b'{"model": ' + NESTED.encode())
    with pytest.raises(ArtifactError, match=r"tokenizer\.json: not a tokenizer that can be loaded \("):
        StaticEmbedder.load(tiny)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_nested_source(name: str, tiny_model: Path, tmp_path: Path) -> None:
    (tiny_model / name).write_text(NESTED)
    with pytest.raises(SourceError, match=rf"{name}: not valid JSON \(nested too deeply\); fetch the model"):
        export_model(tiny_model, tmp_path / "artifact")


EXPORT = """
from portvec_export import export_model
from portvec.errors import PortvecError
try:
    export_model(folder, sys.argv[2])
    print("exported")
except PortvecError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_huge_source(name: str, tiny_model: Path, tmp_path: Path) -> None:
    huge(tiny_model / name)
    output = run(EXPORT, tiny_model, tmp_path / "artifact")
    assert re.fullmatch(rf"SourceError .*{name}: cannot be read \({LIMIT}\); check the file .*\n", output)


@pytest.mark.parametrize("change", [pipe, endless, folder, huge])
def test_model_card_that_cannot_be_read(
    change: Callable[[Path], None], tiny_model: Path, tmp_path: Path
) -> None:
    """A card is optional."""
    (tiny_model / "README.md").write_text("---\nlicense: mit\n---\n")
    change(tiny_model / "README.md")
    assert run(EXPORT, tiny_model, tmp_path / "artifact") == "exported\n"


def test_nested_model_card(tiny: Path, tmp_path: Path) -> None:
    source = StaticEmbedder.load(tiny).manifest.source
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n")
    assert read_front_matter(tmp_path, source) == {"license": "mit"}
    (tmp_path / "README.md").write_text(f"---\nlicense: {'[' * 20_000}\n---\n")
    assert read_front_matter(tmp_path, source) == {}


@pytest.mark.parametrize("change", [pipe, endless, folder, huge])
def test_manifest_in_the_cache_of_the_hub(change: Callable[[Path], None], tiny: Path) -> None:
    change(tiny / "portvec.json")
    code = "from portvec._hub.client import _read_listed_files; print(_read_listed_files(folder))"
    assert run(code, tiny / "portvec.json") == "[]\n"


@pytest.mark.parametrize("name", ["portvec.json", *LISTED])
def test_unreadable_file(name: str, tiny: Path, portvec: RunPortvec, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def refuse(path: Any, *arguments: Any, **options: Any) -> int:
        if str(path) == str(tiny / name):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *arguments, **options)

    message = f"{tiny / name}: cannot be read (Permission denied); check the file and its permissions"
    monkeypatch.setattr(os, "open", refuse)  # root may read what nobody may read
    with pytest.raises(ArtifactError, match=f"^{re.escape(message)}$"):
        StaticEmbedder.load(tiny)
    result = portvec("verify", tiny)
    assert (result.returncode, result.stderr) == (1, f"portvec: error: {message}\n")


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("name", ["portvec.json", *LISTED])
def test_file_without_permission(name: str, tiny: Path) -> None:
    (tiny / name).chmod(0)
    with pytest.raises(
        ArtifactError, match=r": cannot be read \(Permission denied\); check the file and its"
    ):
        StaticEmbedder.load(tiny)


def test_encode_survives_damaged_recorded_texts(tiny: Path) -> None:
    """They only decide about accelerators, so they cannot fail texts after 20,000 characters."""
    texts = ["return the value of a function"] * 2000
    expected = StaticEmbedder.load(tiny).encode(texts)
    for content in (b"", b"{}", json.dumps({"texts": [{"text": 1}]}).encode(), NESTED.encode()):
        replace_file(tiny, "conformance.json", content)
        assert (StaticEmbedder.load(tiny).encode(texts) == expected).all()
        with pytest.raises(ArtifactError, match=r"conformance\.json: not a list of recorded texts"):
            StaticEmbedder.load(tiny, tokenizer="nanotoken")


def test_file_system_that_cannot_map(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = StaticEmbedder.load(tiny).encode(["the value"])

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(19, "No such device")

    monkeypatch.setattr(mmap, "mmap", refuse)
    embedder = StaticEmbedder.load(tiny)
    (tiny / "onnx" / "model.onnx_data").unlink()
    assert (embedder.encode(["the value"]) == expected).all()
