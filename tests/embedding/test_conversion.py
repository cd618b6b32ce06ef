"""Loading a Model2Vec folder: converted once into the cache, safely, or a clear error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from model2vec import StaticModel

import portvec_export
import tiny_models
from command_line import RunPortvec
from corpus import paragraphs
from portvec import Model2VecEmbeddingFunction, StaticEmbedder
from portvec._artifact.cache import cache_root
from portvec.errors import MissingExtraError, SourceError


def conversions() -> list[str]:
    return sorted(path.name for path in (cache_root() / "models").iterdir())


def test_folder_is_converted_on_first_use_only(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = StaticModel.from_pretrained(tiny_model).encode(paragraphs(20))
    np.testing.assert_allclose(
        StaticEmbedder.load(tiny_model).encode(paragraphs(20)), expected, rtol=0, atol=1e-6
    )
    monkeypatch.delattr(portvec_export, "export_model")
    np.testing.assert_allclose(
        StaticEmbedder.load(tiny_model).encode(paragraphs(20)), expected, rtol=0, atol=1e-6
    )
    assert [name.split("--")[0] for name in conversions()] == ["tiny-model"]


def test_every_set_of_options_has_a_conversion_of_its_own(tiny_model: Path) -> None:
    assert StaticEmbedder.load(tiny_model, dim=5).dim == 5
    assert StaticEmbedder.load(tiny_model).dim == 24
    assert Model2VecEmbeddingFunction(tiny_model, dimensionality=5).dim == 5
    assert StaticEmbedder.load(tiny_model, dtype="float16").manifest.dtype == "float16"
    assert StaticEmbedder.load(tiny_model, normalize=False).manifest.normalize is False
    assert StaticEmbedder.load(tiny_model, max_length=None).manifest.max_length is None
    assert len(conversions()) == 5


def test_a_model_that_changes_is_converted_anew(tiny_model: Path) -> None:
    before = StaticEmbedder.load(tiny_model).encode("the value")
    tiny_models.save(tiny_model, vectors=-tiny_models.vectors(800))
    np.testing.assert_array_equal(StaticEmbedder.load(tiny_model).encode("the value"), -before)


def test_failed_conversion_leaves_nothing(tiny_model: Path) -> None:
    (tiny_model / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(SourceError, match="not a complete safetensors file"):
        StaticEmbedder.load(tiny_model)
    assert not (cache_root() / "models").exists() or conversions() == []


def test_processes_that_start_together_convert_once(tiny_model: Path) -> None:
    program = (
        "from portvec import StaticEmbedder; from portvec_export import _export\n"
        "export = _export.export_artifact\n"
        "def count(*a, **k):\n"
        "    print('converted', flush=True); return export(*a, **k)\n"
        "_export.export_artifact = count\n"
        f"print(StaticEmbedder.load({str(tiny_model)!r}).encode('the value').tobytes().hex())\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    lines = [process.communicate(timeout=120)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    assert sum("converted" in output for output in lines) == 1
    assert len({output[-1] for output in lines}) == 1
    assert len(conversions()) == 1


def test_without_the_exporter_the_error_says_what_to_run(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "portvec_export", None)
    with pytest.raises(MissingExtraError) as caught:
        StaticEmbedder.load(tiny_model)
    assert str(caught.value) == (
        f"{tiny_model}: a Model2Vec model, which must be converted once; run pip install 'portvec[export]' "
        f"here, or 'portvec export {tiny_model} -o DIR' on another machine and copy DIR here"
    )
    assert isinstance(caught.value, ImportError)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"PORTVEC_CACHE": "/somewhere/else"}, "/somewhere/else"),
        ({"PORTVEC_CACHE": "", "XDG_CACHE_HOME": "/xdg"}, "/xdg/portvec"),
        ({"PORTVEC_CACHE": "", "XDG_CACHE_HOME": "", "HOME": "/home/me"}, "/home/me/.cache/portvec"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="the convention of Linux")
def test_cache_folder(variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_root() == Path(expected)


def test_cache_that_cannot_be_made(tiny_model: Path, tmp_path: Path, portvec: RunPortvec) -> None:
    (tmp_path / "file").write_text("")
    result = portvec("embed", tiny_model, "x", PORTVEC_CACHE=str(tmp_path / "file" / "cache"))
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "the cache cannot be written (Not a directory); set PORTVEC_CACHE to a folder" in result.stderr
