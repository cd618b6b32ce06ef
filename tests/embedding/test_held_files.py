"""An embedder is one model: what happens to its folder after it was loaded, or meanwhile, does not matter."""

from __future__ import annotations

import itertools
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import classifiers
import tiny_models
from folders import contents
from portvec import StaticClassifier, StaticEmbedder, verify
from portvec._artifact import folder as folder_module
from portvec._artifact.files import hold_file
from portvec._vocabulary.characters import SEPARATOR
from portvec.errors import ArtifactError
from portvec_export import export_model
from project import BATCH_ROUNDING
from rounding import assert_close

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a mapped file cannot be replaced there")

# More than 20,000 characters, after which an embedder loads a faster tokenizer.
MANY = [f"return the value {number} of a function or object" for number in range(800)]


def at_once(embedder: StaticEmbedder, texts: list[list[str]]) -> np.ndarray:
    """Embed from several threads, each of which needs a session."""
    with ThreadPoolExecutor(4) as executor:
        return np.concatenate(list(executor.map(embedder.encode, texts)))


USES: dict[str, Callable[[StaticEmbedder], np.ndarray]] = {
    "one text": lambda embedder: embedder.encode("the value"),
    "a list": lambda embedder: embedder.encode(["the value", "of a function"]),
    "an iterator": lambda embedder: embedder.encode(iter(["the value", "of a function"])),
    "many texts": lambda embedder: embedder.encode(MANY),
    "threads": lambda embedder: at_once(embedder, [MANY[:50]] * 8),
    "a text with a separator": lambda embedder: embedder.encode([f"the {SEPARATOR} value"]),
}


def other_model(folder: Path) -> Path:
    """A model with other tokens and other vectors."""
    return tiny_models.save(folder, "unigram", vectors=tiny_models.vectors(801)[:800])


def overwrite(folder: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export_model(other_model(scratch / "other-model"), folder, overwrite=True)


def delete(folder: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(folder)


def leave(folder: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go where the relative path leads nowhere."""
    monkeypatch.chdir("/")


EVENTS = {"overwritten": overwrite, "deleted": delete, "left": leave}


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("tokenizer", ["auto", "tokenizers", "nanotoken"])
def test_what_happens_to_the_folder_does_not_matter(
    event: str, tokenizer: str, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny, tmp_path / "kept")
    monkeypatch.chdir(tmp_path)
    # Each is used for the first time after the event, so that nothing is opened before.
    loaded = {name: StaticEmbedder.load(tiny.name, tokenizer=tokenizer, threads=2) for name in USES}
    grown = StaticEmbedder.load(tiny.name, tokenizer=tokenizer, threads=2)
    grown.encode(MANY)
    EVENTS[event](tiny, tmp_path, monkeypatch)
    for name, use in USES.items():
        expected = use(StaticEmbedder.load(tmp_path / "kept", tokenizer=tokenizer))
        np.testing.assert_array_equal(use(loaded[name]), expected, err_msg=name)
        np.testing.assert_array_equal(use(grown), expected, err_msg=name)


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize(
    "options", [{"dtype": "int4"}, {"dtype": "float16", "normalize": False}, {"single_file": True}], ids=str
)
def test_every_kind_of_artifact(
    event: str, options: dict[str, Any], tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = export_model(tiny_model, tmp_path / "artifact", **options)
    shutil.copytree(folder, tmp_path / "kept")
    monkeypatch.chdir(tmp_path)
    embedder = StaticEmbedder.load("artifact")
    EVENTS[event](folder, tmp_path, monkeypatch)
    kept = StaticEmbedder.load(tmp_path / "kept")
    for use in USES.values():
        np.testing.assert_array_equal(use(embedder), use(kept))


@pytest.mark.parametrize("event", EVENTS)
def test_a_classifier(event: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classifiers.pipeline("softmax").save_pretrained(str(tmp_path / "model"))
    folder = export_model(tmp_path / "model", tmp_path / "artifact")
    expected = StaticClassifier.load(folder).predict_proba([*MANY, "the value"])
    monkeypatch.chdir(tmp_path)
    classifier = StaticClassifier.load("artifact")
    EVENTS[event](folder, tmp_path, monkeypatch)
    one = classifier.predict_proba("the value")
    np.testing.assert_allclose(one, expected[-1], rtol=0, atol=BATCH_ROUNDING)
    np.testing.assert_array_equal(classifier.predict_proba([*MANY, "the value"]), expected)


def test_pickles_lead_to_the_folder_that_a_relative_path_meant(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = StaticEmbedder.load(tiny).encode("the value")
    monkeypatch.chdir(tiny.parent)
    embedder = StaticEmbedder.load(tiny.name)
    monkeypatch.chdir("/")
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(embedder)).encode("the value"), expected)


def swap(folder: Path, other: Path) -> None:
    """Let two folders change places, as an overwriting export moves the new one in."""
    aside = folder.with_name("aside")
    folder.rename(aside)
    other.rename(folder)
    aside.rename(other)


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return export_model(other_model(tmp_path / "other-model"), tmp_path / "other")


@pytest.mark.parametrize("name", ["onnx/model.onnx_data", "portvec.graph", "tokenizer.json", "config.json"])
def test_a_folder_that_is_replaced_while_it_is_opened(
    name: str, tiny: Path, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = (
        StaticEmbedder.load(tiny).encode("the value"),
        StaticEmbedder.load(other).encode("the value"),
    )
    assert np.abs(ours - theirs).max() > 0.1
    done: list[Path] = []

    def replace_before(path: Path) -> Any:
        if path == tiny / name and not done:
            done.append(path)
            swap(tiny, other)
        return hold_file(path)

    monkeypatch.setattr(folder_module, "hold_file", replace_before)
    embedder = StaticEmbedder.load(tiny)
    assert done
    np.testing.assert_array_equal(embedder.encode("the value"), theirs)
    np.testing.assert_array_equal(embedder.encode(["the value"]), theirs[np.newaxis])


def test_a_table_that_is_replaced_by_one_of_the_same_size(
    tiny: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading does not hash tables, so only the manifest tells that the table is another one."""
    vectors = tiny_models.vectors(800)[::-1].copy()
    other = export_model(tiny_models.save(tmp_path / "reversed", vectors=vectors), tmp_path / "other")
    sizes = [{name: len(content) for name, content in contents(folder).items()} for folder in (tiny, other)]
    assert sizes[0]["onnx/model.onnx_data"] == sizes[1]["onnx/model.onnx_data"]
    expected = StaticEmbedder.load(other).encode("the value")
    done: list[Path] = []

    def replace_before(path: Path) -> Any:
        if path == tiny / "onnx/model.onnx_data" and not done:
            done.append(path)
            swap(tiny, other)
        return hold_file(path)

    monkeypatch.setattr(folder_module, "hold_file", replace_before)
    np.testing.assert_array_equal(StaticEmbedder.load(tiny).encode("the value"), expected)


def test_a_folder_that_is_replaced_again_and_again(
    tiny: Path, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = itertools.count()
    last = 50

    def replace_before(path: Path) -> Any:
        if path == tiny / "tokenizer.json" and next(times) < last:
            swap(tiny, other)
        return hold_file(path)

    monkeypatch.setattr(folder_module, "hold_file", replace_before)
    StaticEmbedder.load(tiny)
    assert next(times) > last
    last = sys.maxsize
    monkeypatch.setattr(folder_module, "_PATIENCE", 0.1)
    with pytest.raises(ArtifactError, match=r": replaced again and again while it was opened; load it again"):
        StaticEmbedder.load(tiny)


def test_a_folder_that_is_gone_while_it_is_opened(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def delete_before(path: Path) -> Any:
        shutil.rmtree(tiny, ignore_errors=True)
        return hold_file(path)

    monkeypatch.setattr(folder_module, "hold_file", delete_before)
    with pytest.raises(ArtifactError, match="no such folder; expected an existing artifact folder"):
        verify(tiny)


def test_no_path_in_a_graph_is_opened(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """onnxruntime would look for the data of a graph without a path in the current folder."""
    expected = StaticEmbedder.load(tiny).encode(["the value"])
    (tmp_path / "onnx").mkdir()
    data = (tiny / "onnx" / "model.onnx_data").read_bytes()
    for name in ("model.onnx_data", "onnx/model.onnx_data"):
        (tmp_path / name).write_bytes(bytes(len(data)))
    monkeypatch.chdir(tmp_path)
    for providers in (None, ["CPUExecutionProvider"]):
        got = StaticEmbedder.load(tiny, providers=providers).encode(["the value"])
        np.testing.assert_array_equal(got, expected)


def test_other_providers_get_copies_of_the_table(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from portvec._inference.onnxruntime import onnxruntime

    others = [name for name in onnxruntime.get_available_providers() if name != "CPUExecutionProvider"]
    if "AzureExecutionProvider" not in others:  # it takes no node, so the CPU computes
        pytest.skip("needs another provider that runs here")
    monkeypatch.chdir(tmp_path)
    expected = StaticEmbedder.load(tiny).encode(["the value", "of a function"])
    embedder = StaticEmbedder.load(tiny, providers=["AzureExecutionProvider", "CPUExecutionProvider"])
    shutil.rmtree(tiny)
    np.testing.assert_array_equal(embedder.encode(["the value", "of a function"]), expected)
    assert_close(embedder.encode("the value"), expected[0])  # by the graph, as other providers need it


MEMORY = """
import sys
from pathlib import Path
from portvec import StaticEmbedder

def private():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Anonymous:")) / 1024

def cost_of(folder):
    before = private()
    embedders = [StaticEmbedder.load(folder, tokenizer="tokenizers") for _ in range(2)]
    pools = [embedder._pipeline._graphs._sessions for embedder in embedders]
    sessions = [pool._make(wait=True) for pool in pools for _ in range(4)]
    kept.extend(sessions)
    return private() - before

kept = []
cost_of(sys.argv[1])
print(cost_of(sys.argv[2]) - cost_of(sys.argv[1]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("dtype", ["float32", pytest.param("int8", marks=pytest.mark.slow)])
def test_sessions_share_the_mapped_table(dtype: str, tiny: Path, tmp_path: Path) -> None:
    """Ten sessions over a large table take no more memory than ten over a small one."""
    model = tiny_models.save(tmp_path / "large", vectors=tiny_models.vectors(800, 20_000))
    large = export_model(model, tmp_path / "artifact", dtype=dtype)
    size = (large / "onnx" / "model.onnx_data").stat().st_size / 1e6
    result = subprocess.run(
        [sys.executable, "-c", MEMORY, tiny, large], capture_output=True, text=True, timeout=120, check=True
    )
    assert size > 16
    assert float(result.stdout) < 8
