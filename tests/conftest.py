"""Fixtures that several test modules share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from command_line import RunPortvec, in_process_runner, process_runner
from damage import leave_to_tokenizers
from hub_server import LocalHub
from project import BUNDLED, FUZZ, PREBUILT
from shared import make_once

if TYPE_CHECKING:
    from model2vec import StaticModel

# gRPC, which Milvus's client loads, runs handlers of its own when a process forks. They abort
# some children before those can start a program. No child of a test uses gRPC.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

with suppress(ImportError):  # where no test is generated
    from hypothesis import settings

    # The usual number of examples are the same in each run, so that it is a change that breaks a test.
    settings.register_profile("portvec", derandomize=FUZZ == 1)
    settings.load_profile("portvec")


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

    return make_once(tmp_path_factory, "bundled", lambda folder: export_model(BUNDLED, folder))


@pytest.fixture(scope="session")
def reference() -> StaticModel:
    """The bundled model under model2vec, as the exporter compares with it."""
    from model2vec import StaticModel

    return StaticModel.from_pretrained(BUNDLED, quantize_to="float32", force_download=False)


@pytest.fixture(scope="session")
def _tiny_artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if PREBUILT:
        return Path(PREBUILT) / "tiny"
    import tiny_models
    from portvec_export import export_model

    model = tmp_path_factory.mktemp("tiny") / "model"
    return make_once(tmp_path_factory, "tiny", lambda folder: export_model(tiny_models.save(model), folder))


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


@pytest.fixture(scope="session")
def prompted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact with prompts for queries, documents and code; read-only by agreement."""
    if PREBUILT:
        pytest.skip("needs the exporter")
    import static_folders
    from portvec_export import export_model

    prompts = {"query": "search for ", "document": "the text is ", "code": "def "}
    model = tmp_path_factory.mktemp("prompted") / "model"
    static_folders.save(model, prompts=prompts, default_prompt_name="code")
    return make_once(
        tmp_path_factory,
        "prompted",
        lambda folder: export_model(model, folder, semantics="sentence-transformers"),
    )


@pytest.fixture
def uncompiled(tiny: Path) -> Path:
    """The same without its compiled vocabulary, so that `tokenizers` reads tokenizer.json."""
    return leave_to_tokenizers(tiny)


@pytest.fixture
def portvec(tmp_path: Path) -> RunPortvec:
    """Run the command line in this process, with an empty home folder."""
    return in_process_runner(tmp_path)


@pytest.fixture
def portvec_process(tmp_path: Path) -> RunPortvec:
    """Run the command line in a process of its own, with an empty home folder."""
    return process_runner(tmp_path)


@pytest.fixture
def hub() -> Iterator[LocalHub]:
    """A Hub on localhost, empty; pass HF_ENDPOINT=hub.url to the process that uses it."""
    hub = LocalHub()
    server = hub.serve()
    yield hub
    server.shutdown()
    server.server_close()
