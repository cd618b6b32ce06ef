"""Fixtures that several test modules share."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from hub_server import LocalHub

if TYPE_CHECKING:
    from model2vec import StaticModel

# The exporter is imported where it is needed: tests/arm64 runs tests where there is none, on the artifacts
# in this folder.
PREBUILT = os.environ.get("PORTVEC_TEST_ARTIFACTS")
ROOT = Path(__file__).parent.parent
# How many times the usual number of generated examples to try; `make fuzz` sets it.
FUZZ = int(os.environ.get("PORTVEC_FUZZ", "1"))

# onnxruntime 1.17 rounds the norm by the shape of a block; the newest gives the same bits in any block.
BLOCK_ROUNDING = 2e-7 if version("onnxruntime").startswith("1.17.") else 0.0

BUNDLED = ROOT / "models" / "minilm-l6-v2-256"


@pytest.fixture(autouse=True, scope="session")
def _session_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No fixture reads or writes the user's caches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PORTVEC_CACHE", str(tmp_path_factory.mktemp("portvec-cache")))
        yield


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test starts with an empty cache."""
    monkeypatch.setenv("PORTVEC_CACHE", str(tmp_path / "portvec-cache"))


@pytest.fixture(scope="session")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model as an artifact; read-only by agreement."""
    if PREBUILT:
        return Path(PREBUILT) / "float32"
    from portvec_export import export_model

    return export_model(BUNDLED, tmp_path_factory.mktemp("bundled") / "artifact")


@pytest.fixture(scope="session")
def reference() -> StaticModel:
    """The bundled model under model2vec, as the exporter's promise has it."""
    from model2vec import StaticModel

    return StaticModel.from_pretrained(BUNDLED, quantize_to="float32", force_download=False)


@pytest.fixture(scope="session")
def _tiny_artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if PREBUILT:
        return Path(PREBUILT) / "tiny"
    import tiny_models
    from portvec_export import export_model

    folder = tmp_path_factory.mktemp("tiny")
    return export_model(tiny_models.save(folder / "model"), folder / "artifact")


@pytest.fixture
def tiny_model(tmp_path: Path) -> Path:
    """A small WordPiece model in model2vec's layout, free to change."""
    if PREBUILT:
        pytest.skip("needs the exporter")
    import tiny_models

    return tiny_models.save(tmp_path / "tiny-model")


@pytest.fixture
def tiny(_tiny_artifact: Path, tmp_path: Path) -> Path:
    """An artifact of a small model, free to damage."""
    return Path(shutil.copytree(_tiny_artifact, tmp_path / "tiny-artifact"))


class RunPortvec(Protocol):
    def __call__(
        self, *args: object, stdin: str = ..., cwd: Path = ..., **env: str
    ) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture
def portvec(tmp_path: Path) -> RunPortvec:
    """Run the command line in a process of its own, with an empty home folder."""

    def run(
        *args: object, stdin: str = "", cwd: Path = tmp_path, **env: str
    ) -> subprocess.CompletedProcess[str]:
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("HF_", "XDG_", "PYTEST_")) and name != "ORT_DISABLE_TELEMETRY"
        }
        return subprocess.run(
            [sys.executable, "-m", "portvec", *map(str, args)],
            input=stdin,
            cwd=cwd,
            env={**kept, "HOME": str(home), "USERPROFILE": str(home), "COLUMNS": "80", **env},
            capture_output=True,
            encoding="utf-8",
            timeout=120,
        )

    return run


@pytest.fixture
def hub() -> Iterator[LocalHub]:
    """A Hub on localhost, empty; pass HF_ENDPOINT=hub.url to the process that shall use it."""
    hub = LocalHub()
    server = hub.serve()
    yield hub
    server.shutdown()
    server.server_close()
