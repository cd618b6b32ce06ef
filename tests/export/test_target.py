"""Where an export writes: what may be there before, and what is there after an error."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from command_line import RunPortvec
from folders import contents, names
from portvec import StaticEmbedder, verify
from portvec._artifact.dtypes import DTYPES, Dtype
from portvec.errors import ArtifactError, ExportError
from portvec_export import export_model


def test_in_the_home_folder(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, portvec: RunPortvec
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folder = export_model(tiny_model, "~/a")
    assert folder == tmp_path / "home" / "a"
    assert verify(folder).texts == 64
    result = portvec("export", tiny_model, "--output=~/b", HOME=str(tmp_path / "home"))
    assert (result.returncode, result.stderr[: result.stderr.index(":")]) == (0, f"{tmp_path}/home/b")


def test_must_be_empty(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "artifact").mkdir()
    export_model(tiny_model, tmp_path / "artifact")  # an empty folder is as good as none
    with pytest.raises(ExportError, match=r"artifact: exists and is not empty; .* pass overwrite=True"):
        export_model(tiny_model, tmp_path / "artifact")


def test_overwrite_replaces_an_artifact_whole(tiny_model: Path, tiny: Path) -> None:
    (tiny / "extra.txt").write_text("gone afterwards")
    export_model(tiny_model, tiny, dim=5, overwrite=True)
    assert StaticEmbedder.load(tiny).dim == 5
    assert not (tiny / "extra.txt").exists()


def test_overwrite_deletes_nothing_but_artifacts(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("precious")
    with pytest.raises(ExportError, match=r"holds files but no portvec\.json, so it is not"):
        export_model(tiny_model, tmp_path / "thesis", overwrite=True)
    assert (tmp_path / "thesis" / "chapter1.tex").read_text() == "precious"


def test_file(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="file: is a file, expected a folder to create"):
        export_model(tiny_model, tmp_path / "file")


def test_stays_as_it_was_if_the_check_fails(
    tiny_model: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DTYPES, "lying", Dtype(codec="faulty_codecs:LyingCodec", summed_bytes=4))
    before = contents(tiny)
    message = rf"^{re.escape(str(tiny))}: the embedding of recorded text \d+ differs by .*; check the onnx"
    with pytest.raises(ArtifactError, match=message):
        export_model(tiny_model, tiny, dtype="lying", overwrite=True)
    assert contents(tiny) == before
    assert [path.name for path in tiny.parent.iterdir() if path.name.startswith(".")] == []


def test_is_left_out_if_the_check_fails(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DTYPES, "lying", Dtype(codec="faulty_codecs:LyingCodec", summed_bytes=4))
    with pytest.raises(ArtifactError, match=f"^{re.escape(str(tmp_path / 'out' / 'a'))}: the embedding"):
        export_model(tiny_model, tmp_path / "out" / "a", dtype="lying")
    assert names(tmp_path / "out") == []


def test_disk_full(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DTYPES, "full", Dtype(codec="faulty_codecs:FullDiskCodec", summed_bytes=4))
    target = tmp_path / "out" / "artifact"
    with pytest.raises(ExportError, match=r"artifact: cannot be written \(No space left on device"):
        export_model(tiny_model, target, dtype="full")
    assert names(target.parent) == []
