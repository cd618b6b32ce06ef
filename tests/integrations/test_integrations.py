"""portvec.integrations without the frameworks: what is said then, and what the adapters share."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from engines import ENGINES
from frameworks import FRAMEWORKS, MTEB, Framework
from portvec.integrations._common import LazyEmbedder
from portvec_export import export_model
from project import ROOT

WITHOUT = """
import sys
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from portvec.errors import MissingExtraError
try:
    __import__("portvec.integrations." + sys.argv[2])
except MissingExtraError as error:
    print(error)
"""


@pytest.mark.parametrize("framework", [*FRAMEWORKS, MTEB, *ENGINES], ids=lambda framework: framework.title)
def test_a_missing_framework_names_the_command(framework: Framework) -> None:
    command = [sys.executable, "-c", WITHOUT, framework.imported, framework.module]
    result = subprocess.run(command, capture_output=True, check=True, encoding="utf-8")
    extra = framework.module.replace("_", "-")
    assert result.stdout == (
        f"portvec.integrations.{framework.module} needs {framework.distribution}, which cannot be imported "
        f"(No module named '{framework.imported}'); run pip install 'portvec[{extra}]'\n"
    )


@pytest.mark.parametrize(("module", "extra"), [("arrow", "bulk"), ("polars", "polars")])
def test_missing_pyarrow_names_the_command(module: str, extra: str) -> None:
    command = [sys.executable, "-c", WITHOUT, "pyarrow", module]
    result = subprocess.run(command, capture_output=True, check=True, encoding="utf-8")
    assert result.stdout.startswith(f"portvec.integrations.{module} needs ")
    assert result.stdout.endswith(f"(No module named 'pyarrow'); run pip install 'portvec[{extra}]'\n")


def test_the_arrow_core_is_public() -> None:
    from portvec._bulk import arrow as core
    from portvec.integrations import arrow

    assert arrow.embed_batch is core.embed_batch


def test_a_framework_that_lacks_what_is_needed_names_the_command_too(tmp_path: Path) -> None:
    (tmp_path / "qdrant_client").mkdir()
    for name in ("__init__.py", "models.py"):
        (tmp_path / "qdrant_client" / name).write_text("")
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT, "nothing", "qdrant"],
        capture_output=True,
        check=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert result.stdout.startswith(
        "portvec.integrations.qdrant needs qdrant-client, which cannot be imported (cannot import name "
    )
    assert result.stdout.endswith("run pip install 'portvec[qdrant]'\n")


def test_each_extra_brings_its_framework_and_nothing_else() -> None:
    modules = {path.stem for path in (ROOT / "runtime/portvec/integrations").glob("[a-z]*.py")}
    # Milvus's class needs nothing of pymilvus, and its extra brings Milvus Lite too.
    adapters = {adapter.module for adapter in (*FRAMEWORKS, MTEB, *ENGINES)}
    assert modules - {"arrow", "milvus"} == adapters
    stated = [Requirement(line) for line in requires("portvec") or []]
    for framework in (*FRAMEWORKS, MTEB):
        extra = framework.module.replace("_", "-")
        brought = [
            entry for entry in stated if entry.marker is not None and entry.marker.evaluate({"extra": extra})
        ]
        assert [entry.name for entry in brought] == [framework.distribution]
    for engine in ENGINES:  # and what the extra bulk brings
        names = {
            entry.name
            for entry in stated
            if entry.marker is not None and entry.marker.evaluate({"extra": engine.module})
        }
        assert names == {"pyarrow", "orjson", engine.distribution}


def test_lowest_versions_are_those_that_the_tests_run() -> None:
    lines = (ROOT / "tests" / "constraints" / "lowest-integrations.txt").read_text().splitlines()
    pinned = {entry.name: next(iter(entry.specifier)).version for entry in map(Requirement, lines[1:])}
    stated = {entry.name: entry.specifier for entry in map(Requirement, requires("portvec") or [])}
    assert pinned.keys() == {framework.distribution for framework in FRAMEWORKS}
    for package, version in pinned.items():
        assert (version + ".").startswith(next(iter(stated[package])).version + ".")


def test_a_model_is_loaded_once_for_the_same_options(tiny: Path) -> None:
    first = LazyEmbedder(tiny, {"threads": 1}).embedder
    assert LazyEmbedder(str(tiny), {"threads": 1}).embedder is first
    assert LazyEmbedder(tiny, {"threads": 2}).embedder is not first


def test_a_folder_that_was_exported_anew_is_loaded_anew(tiny_model: Path, tmp_path: Path) -> None:
    folder = export_model(tiny_model, tmp_path / "artifact")
    assert LazyEmbedder(folder, {}).embedder.dim == 24
    export_model(tiny_model, folder, dim=8, overwrite=True)
    assert LazyEmbedder(folder, {}).embedder.dim == 8


def test_a_relative_source_is_that_of_the_current_folder(
    tiny: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    shutil.copytree(tiny, tmp_path / "one" / "artifact")
    export_model(tiny_model, tmp_path / "two" / "artifact", dim=8)
    monkeypatch.chdir(tmp_path / "one")
    assert LazyEmbedder("artifact", {}).embedder.dim == 24
    monkeypatch.chdir(tmp_path / "two")
    assert LazyEmbedder("artifact", {}).embedder.dim == 8


def test_options_are_checked_before_loading_and_kept_without_the_token(tiny: Path) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'devise'"):
        LazyEmbedder("no/such/folder", {"devise": "cpu"})
    lazy = LazyEmbedder(tiny, {"threads": 1, "token": "hf_secret"})
    assert lazy.options == {"threads": 1}
    assert lazy.embedder.dim == 24
    pickled = pickle.dumps(lazy)
    assert b"hf_secret" not in pickled
    assert pickle.loads(pickled).options == {"threads": 1}
