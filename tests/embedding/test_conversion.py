"""Loading a Model2Vec folder: converted once into the cache, safely, or a clear error."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model2vec import StaticModel
from tokenizers import pre_tokenizers

import portvec_export
import tiny_models
from command_line import RunPortvec
from corpus import paragraphs
from folders import contents
from portvec import Model2VecEmbeddingFunction, StaticEmbedder, verify
from portvec._artifact.cache import cache_root
from portvec._artifact.fingerprint import HEADER, SAMPLE, SAMPLES, fingerprint
from portvec.errors import ArtifactError, ExportError, MissingExtraError, OptionError, SourceError


def conversions() -> list[str]:
    return sorted(path.name for path in (cache_root() / "models").iterdir())


def convert_in_processes(model: Path) -> int:
    """Load a model in four processes at once; return how many of them converted it."""
    program = (
        "from portvec import StaticEmbedder; from portvec_export import _export\n"
        "export = _export.export_artifact\n"
        "def count(*a, **k):\n"
        "    print('converted', flush=True); return export(*a, **k)\n"
        "_export.export_artifact = count\n"
        f"print(StaticEmbedder.load({str(model)!r}).encode('the value').tobytes().hex())\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    lines = [process.communicate(timeout=120)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    assert len({output[-1] for output in lines}) == 1
    return sum("converted" in output for output in lines)


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


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("config.json", b'"normalize": true', b'"normalize":false'),
        ("tokenizer.json", b'"the"', b'"eht"'),
        ("model.safetensors", None, None),
    ],
)
def test_a_change_that_keeps_sizes_and_times_is_noticed(
    name: str, old: bytes | None, new: bytes | None, tiny_model: Path
) -> None:
    """As after rsync --times, or restoring a backup."""
    before = StaticEmbedder.load(tiny_model).encode("the value")
    path = tiny_model / name
    stat = path.stat()
    if old and new:
        assert old in path.read_bytes()
        path.write_bytes(path.read_bytes().replace(old, new))
    else:
        tiny_models.save(tiny_model, vectors=-tiny_models.vectors(800))
    assert path.stat().st_size == stat.st_size
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert not np.array_equal(StaticEmbedder.load(tiny_model).encode("the value"), before)


def test_a_change_anywhere_in_a_large_table_is_noticed(tmp_path: Path) -> None:
    """Of a table, only samples are read: a change of more than the distance between two is noticed."""
    size = 512 << 20
    path = tmp_path / "model.safetensors"
    with path.open("wb") as file:
        file.truncate(size)  # a sparse file
    before = fingerprint(path)
    stat = path.stat()
    for start in (0, size // 3, size - (16 << 20)):
        with path.open("r+b") as file:
            file.seek(start)
            file.write(b"\xff" * (16 << 20))
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        after = fingerprint(path)
        assert after[:2] == before[:2]
        assert after != before
        before = after


def test_little_of_a_large_table_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.safetensors"
    with path.open("wb") as file:
        file.truncate(512 << 20)
    hashed = 0
    sha256 = hashlib.sha256

    class Counting:
        def __init__(self) -> None:
            self.digest = sha256()

        def update(self, data: bytes) -> None:
            nonlocal hashed
            hashed += len(data)
            self.digest.update(data)

        def hexdigest(self) -> str:
            return self.digest.hexdigest()

    monkeypatch.setattr(hashlib, "sha256", Counting)
    fingerprint(path)
    assert hashed == HEADER + SAMPLES * SAMPLE == 320 << 10


def test_each_version_of_portvec_has_conversions_of_its_own(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    StaticEmbedder.load(tiny_model)
    monkeypatch.setattr("portvec._loading.__version__", "0.1.1", raising=False)
    StaticEmbedder.load(tiny_model)
    assert len(conversions()) == 2


def test_conversion_is_used_where_the_exporter_is_missing(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = StaticEmbedder.load(tiny_model).encode("the value")
    monkeypatch.setitem(sys.modules, "portvec_export", None)
    np.testing.assert_array_equal(StaticEmbedder.load(tiny_model).encode("the value"), expected)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def scramble(path: Path) -> None:
    path.write_bytes(b"\xff" * path.stat().st_size)


def half_delete(path: Path) -> None:
    """Delete the manifest, and with it half of the folder."""
    path.unlink()
    shutil.rmtree(path.parent / "onnx", ignore_errors=True)


DAMAGES = [
    (truncate, "portvec.json"),
    (truncate, "tokenizer.json"),
    (truncate, "portvec.vocabulary"),
    (truncate, "onnx/model.onnx_data"),
    (scramble, "portvec.json"),
    (scramble, "portvec.graph"),
    (scramble, "portvec.vocabulary"),
    (Path.unlink, "portvec.json"),
    (Path.unlink, "tokenizer.json"),
    (Path.unlink, "portvec.vocabulary"),
    (Path.unlink, "portvec.graph"),
    (Path.unlink, "onnx/model.onnx_data"),
    (half_delete, "portvec.json"),
]


@pytest.mark.parametrize(("damage", "name"), DAMAGES)
class TestDamagedConversion:
    def test_is_made_again(self, damage: Callable[[Path], None], name: str, tiny_model: Path) -> None:
        expected = StaticEmbedder.load(tiny_model).encode("the value")
        (folder,) = (cache_root() / "models").iterdir()
        before = contents(folder)
        damage(folder / name)
        np.testing.assert_array_equal(StaticEmbedder.load(tiny_model).encode("the value"), expected)
        assert contents(folder) == before
        assert len(conversions()) == 1

    def test_error_says_what_is_needed_to_make_it_again(
        self,
        damage: Callable[[Path], None],
        name: str,
        tiny_model: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        StaticEmbedder.load(tiny_model)
        (folder,) = (cache_root() / "models").iterdir()
        damage(folder / name)
        monkeypatch.setitem(sys.modules, "portvec_export", None)
        with pytest.raises(ArtifactError) as caught:
            StaticEmbedder.load(tiny_model)
        assert str(caught.value).startswith(str(folder))
        assert (
            f", and the conversion cannot be made again ({tiny_model}: a Model2Vec model, which must be "
            "converted once; run pip install 'portvec[export]' here" in str(caught.value)
        )
        assert "\n" not in str(caught.value)


def test_damaged_tokenizer_that_is_not_compiled(tmp_path: Path) -> None:
    """Only then, loading reads tokenizer.json."""
    tokenizer = tiny_models.tokenizer("bpe")
    tokenizer.pre_tokenizer = pre_tokenizers.UnicodeScripts()
    model = tiny_models.save(tmp_path / "model", tokenizer=tokenizer)
    expected = StaticEmbedder.load(model).encode("the value")
    (folder,) = (cache_root() / "models").iterdir()
    before = contents(folder)
    assert "portvec.vocabulary" not in before
    scramble(folder / "tokenizer.json")
    np.testing.assert_array_equal(StaticEmbedder.load(model).encode("the value"), expected)
    assert contents(folder) == before


def test_processes_that_find_a_damaged_conversion_make_it_again_once(tiny_model: Path) -> None:
    StaticEmbedder.load(tiny_model)
    (folder,) = (cache_root() / "models").iterdir()
    truncate(folder / "tokenizer.json")
    assert convert_in_processes(tiny_model) == 1


def test_sound_conversion_is_not_made_again_if_it_cannot_be_loaded(tiny_model: Path) -> None:
    """A backend that is missing or gives other ids is no damage."""
    StaticEmbedder.load(tiny_model)
    (folder,) = (cache_root() / "models").iterdir()
    before = (folder / "portvec.json").stat().st_mtime_ns
    with pytest.raises(OptionError, match="tokenizer 'none' is unknown"):
        StaticEmbedder.load(tiny_model, tokenizer="none")
    assert (folder / "portvec.json").stat().st_mtime_ns == before


def test_failed_conversion_leaves_nothing(tiny_model: Path) -> None:
    (tiny_model / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(SourceError, match="not a complete safetensors file"):
        StaticEmbedder.load(tiny_model)
    assert not (cache_root() / "models").exists() or conversions() == []


def test_processes_that_start_together_convert_once(tiny_model: Path) -> None:
    assert convert_in_processes(tiny_model) == 1
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


class TestCacheThatCannotBeWritten:
    """Tests may run as root, who may write everywhere: a lock file that cannot be opened stands for it."""

    @pytest.fixture(autouse=True)
    def _read_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        (cache_root() / "locks").mkdir(parents=True)
        (cache_root() / "models").mkdir()
        opened = os.open

        def refusing(path: Any, *args: Any, **options: Any) -> int:
            if str(path).startswith(str(cache_root())):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return opened(path, *args, **options)

        monkeypatch.setattr(os, "open", refusing)

    def test_export_to_another_place_does_not_need_it(self, tiny_model: Path, tmp_path: Path) -> None:
        assert verify(portvec_export.export_model(tiny_model, tmp_path / "artifact")).texts == 64

    def test_conversion_says_so(self, tiny_model: Path) -> None:
        with pytest.raises(ExportError) as caught:
            StaticEmbedder.load(tiny_model)
        assert str(caught.value) == (
            f"{cache_root()}: the cache cannot be written (Permission denied); set PORTVEC_CACHE to a folder "
            "that can be written"
        )


def test_conversion_in_a_cache_that_cannot_be_written_is_used(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = StaticEmbedder.load(tiny_model).encode("the value")
    shutil.rmtree(cache_root() / "locks")
    (cache_root() / "locks").write_text("no folder, so nothing can be locked")
    np.testing.assert_array_equal(StaticEmbedder.load(tiny_model).encode("the value"), expected)


class TestWithoutAHomeFolder:
    """Containers may run as a user that the system does not list, without the variable HOME."""

    @pytest.fixture(autouse=True)
    def _nobody(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def unknown(self: Path) -> Path:
            if str(self).startswith("~"):
                raise RuntimeError("Could not determine home directory.")
            return self

        monkeypatch.setattr(Path, "expanduser", unknown)
        monkeypatch.setattr(Path, "home", lambda: unknown(Path("~")))

    def test_artifacts_load_and_exports_run(self, tiny: Path, tiny_model: Path, tmp_path: Path) -> None:
        assert StaticEmbedder.load(tiny).dim == 24
        assert verify(portvec_export.export_model(tiny_model, tmp_path / "artifact")).texts == 64
        assert StaticEmbedder.load(tiny_model).dim == 24  # PORTVEC_CACHE is set

    def test_conversion_says_what_to_set(self, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("PORTVEC_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
            monkeypatch.delenv(name, raising=False)
        message = (
            "^the cache has no place, because the home folder is not known; set PORTVEC_CACHE to a folder"
        )
        with pytest.raises(ExportError, match=message):
            StaticEmbedder.load(tiny_model)

    def test_paths_with_a_tilde(self, tiny: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        message = "^~/a: the home folder is not known; write the path without ~$"
        with pytest.raises(SourceError, match=message):
            StaticEmbedder.load("~/a")
        with pytest.raises(ExportError, match=message):
            portvec_export.export_model(tiny_model, "~/a")
        monkeypatch.setenv("PORTVEC_CACHE", "~/a")
        with pytest.raises(ExportError, match=message):
            StaticEmbedder.load(tiny_model)
