"""What `make browser-demo` puts together and serves. tests/browser/ tests the page itself, in a browser."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.browser import prepare
from project import ROOT
from web_site import Site

PROGRAM = ROOT / "examples" / "browser" / "prepare.py"


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    (tmp_path / "artifact" / "onnx").mkdir(parents=True)
    (tmp_path / "artifact" / "onnx" / "model_text.onnx").write_bytes(b"graph")
    return tmp_path / "artifact"


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    (tmp_path / "runtime" / "dist").mkdir(parents=True)
    for name in prepare.RUNTIME_FILES:
        (tmp_path / "runtime" / "dist" / name).write_bytes(b"runtime")
    return tmp_path / "runtime"


@pytest.fixture
def demo(artifact: Path, runtime: Path, tmp_path: Path) -> Path:
    prepare.main(artifact, runtime, tmp_path / "demo")
    return tmp_path / "demo"


def files(folder: Path) -> Iterator[str]:
    return (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_the_service_worker_keeps_every_file(demo: Path) -> None:
    program = (demo / "service-worker.js").read_text(encoding="utf-8")
    listed = re.search(r"const FILES = (\[.*?\])", program, flags=re.DOTALL)
    assert listed
    kept = json.loads(re.sub(r",\s*\]", "]", listed[1]))
    assert {"index.html" if name == "./" else name for name in kept} == set(files(demo)) - {
        "service-worker.js"
    }


def test_passages_are_paragraphs_with_their_headings(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# The `title`\n\nA **paragraph** with [a link](x.md), which is\nlonger than most, ends here.\n\n"
        "Too short.\n\n```sh\nA line of code that is long enough to be a passage, and has words.\n```\n\n"
        "## A section\n\n- An item of a list that says enough to be found by what it means.\n"
        "- Another item of the list, which has as many words as the first one.\n\n"
        "| a table | whose cells have enough words to be a passage of their own. |\n"
    )
    assert list(prepare.read_passages(page)) == [
        {
            "text": "A paragraph with a link, which is longer than most, ends here.",
            "source": "The title",
        },
        {
            "text": "An item of a list that says enough to be found by what it means.",
            "source": "The title · A section",
        },
        {
            "text": "Another item of the list, which has as many words as the first one.",
            "source": "The title · A section",
        },
    ]


def test_the_documentation_gives_hundreds_of_passages(demo: Path) -> None:
    passages = json.loads((demo / "passages.json").read_text(encoding="utf-8"))
    assert len(passages) > 300
    assert all(set(passage) == {"text", "source"} and passage["source"] for passage in passages)


@pytest.mark.parametrize(
    "missing", ["artifact/onnx/model_text.onnx", f"runtime/dist/{prepare.RUNTIME_FILES[0]}"]
)
def test_a_missing_file_is_named(artifact: Path, runtime: Path, tmp_path: Path, missing: str) -> None:
    (tmp_path / missing).unlink()
    with pytest.raises(SystemExit, match=rf"{missing} is missing, and the page needs it; make browser-demo"):
        prepare.main(artifact, runtime, tmp_path / "demo")
    assert not (tmp_path / "demo").exists()


def test_files_have_the_types_that_browsers_need(demo: Path) -> None:
    site = Site(demo)
    types = {}
    for name in ("", "app.js", "ort/ort.wasm.bundle.min.mjs", "ort/ort-wasm-simd-threaded.wasm"):
        with urllib.request.urlopen(site.url + name) as response:
            types[name] = response.headers["Content-Type"]
    site.stop()
    assert list(types.values()) == ["text/html", "text/javascript", "text/javascript", "application/wasm"]


def test_the_server_names_a_port_in_use(demo: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        program = ROOT / "examples" / "browser" / "serve.py"
        result = subprocess.run([sys.executable, program, demo, str(port)], capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith(f"port {port} cannot be used (Address already in use); choose another")
