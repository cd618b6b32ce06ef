"""Where an export writes: what may be there before, and what is there after an error."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import sys
from pathlib import Path

import numpy as np
import pytest

from command_line import RunPortvec
from folders import contents, names
from portvec import StaticEmbedder, verify
from portvec._artifact.dtypes import DTYPES, Dtype
from portvec._inference import table
from portvec.errors import ArtifactError, ExportError, SourceError
from portvec_export import _export, export_model


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


@pytest.mark.parametrize("name", [".", "../{name}", "{path}", "../link", "sub/.."])
def test_current_folder(
    portvec: RunPortvec, tiny_model: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its shell would be left in a deleted folder."""
    folder = tmp_path / "current"
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    inode = folder.stat().st_ino
    output = name.format(name=folder.name, path=folder)
    result = portvec("export", tiny_model, "-o", output, cwd=folder)
    assert (result.returncode, result.stderr) == (
        1,
        f"portvec: error: {Path(output)}: is the current folder or holds it, and a new folder would replace "
        "it; choose another output, such as ./model\n",
    )
    assert folder.stat().st_ino == inode
    assert names(folder) == []
    assert portvec("export", tiny_model, "-o", "./model", cwd=folder).returncode == 0


@pytest.mark.parametrize("output", [".", "..", "../../tiny-artifact"])
def test_overwrite_of_the_current_folder(
    portvec: RunPortvec, tiny_model: Path, tiny: Path, output: str
) -> None:
    before = contents(tiny)
    result = portvec(
        "export", tiny_model, "-o", output, "--overwrite", cwd=tiny / ("" if output == "." else "onnx")
    )
    assert result.returncode == 1
    assert f"{output}: is the current folder or holds it" in result.stderr
    assert contents(tiny) == before


class TestMountPoint:
    """Nobody may mount anything in a test: the error of the system stands for it."""

    @pytest.fixture(autouse=True)
    def _mounted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        rename = Path.rename
        mount = tmp_path / "mount"
        mount.mkdir()

        def refusing(self: Path, target: Path) -> Path:
            if mount in (self, Path(target)):
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", refusing)

    @pytest.mark.parametrize("holds", ["nothing", "an artifact"])
    def test_is_refused_before_the_work(
        self, holds: str, tiny: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if holds == "an artifact":
            shutil.copytree(tiny, tmp_path / "mount", dirs_exist_ok=True)
        before = contents(tmp_path / "mount")
        monkeypatch.setattr(_export, "load_source", lambda *_: pytest.fail("the work has begun"))
        with pytest.raises(ExportError) as caught:
            export_model(tiny_model, tmp_path / "mount", overwrite=True)
        assert str(caught.value) == (
            f"{tmp_path / 'mount'}: a mount point, which a new folder cannot replace; choose a folder in it, "
            f"such as {tmp_path / 'mount' / 'model'}"
        )
        assert contents(tmp_path / "mount") == before
        assert [name for name in names(tmp_path) if name.startswith(".")] == []

    def test_folder_in_it(self, tiny_model: Path, tmp_path: Path) -> None:
        assert verify(export_model(tiny_model, tmp_path / "mount" / "model")).texts == 64


@pytest.mark.parametrize("bits", [0o700, 0o755, 0o775])
@pytest.mark.skipif(sys.platform == "win32", reason="modes of POSIX")
def test_mode_of_a_folder_is_kept(tiny_model: Path, tmp_path: Path, bits: int) -> None:
    folder = tmp_path / "artifact"
    folder.mkdir()
    for _ in range(2):
        folder.chmod(bits)
        export_model(tiny_model, folder, overwrite=True)
        assert stat.S_IMODE(folder.stat().st_mode) == bits


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right on Windows")
def test_link_is_followed(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for _ in range(2):
        assert verify(export_model(tiny_model, tmp_path / "link", overwrite=True)).texts == 64
        assert (tmp_path / "link").is_symlink()
        assert not (tmp_path / "real").is_symlink()


def test_parent_that_is_a_file_is_refused_before_the_work(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(_export, "load_source", lambda *_: pytest.fail("the work has begun"))
    with pytest.raises(ExportError, match=r"file/a/b: cannot be written \(Not a directory\)"):
        export_model(tiny_model, tmp_path / "file" / "a" / "b")


def test_folders_above_are_not_made_for_a_source_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        export_model("./nowhere", tmp_path / "a" / "b")
    assert names(tmp_path) == []


# Names as long as file systems allow, which is 255 bytes, and others that are rare.
NAMES = {"long": "m" * 255, "long in UTF-8": "日" * 85, "line break": "a\nb", "combining": "e\u0301"}


@pytest.mark.skipif(sys.platform != "linux", reason="where a name may hold any bytes")
class TestNames:
    """Folders of any name that the file system allows, as source and as output."""

    @pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
    def test_output(self, tiny_model: Path, tmp_path: Path, name: str) -> None:
        folder = tmp_path / name
        for _ in range(2):
            assert export_model(tiny_model, folder, overwrite=True) == folder
            assert verify(folder).texts == 64
        assert StaticEmbedder.load(folder).encode(["the value"]).shape == (1, 24)
        assert [each for each in names(tmp_path) if each.startswith(".")] == []

    @pytest.mark.parametrize("name", [os.fsdecode(b"m\xffdel"), *NAMES.values()], ids=["not UTF-8", *NAMES])
    def test_source(self, tiny_model: Path, tmp_path: Path, name: str) -> None:
        source = tiny_model.rename(tmp_path / name)
        expected = StaticEmbedder.load(source).encode("the value")
        folder = export_model(source, tmp_path / "artifact")
        np.testing.assert_array_equal(StaticEmbedder.load(folder).encode("the value"), expected)
        shown = os.fsencode(name).decode("utf-8", errors="replace")
        assert StaticEmbedder.load(folder).manifest.source.id == shown
        assert f"`{shown}`" in (folder / "README.md").read_text(encoding="utf-8")

    def test_subfolder(self, tiny_model: Path, tmp_path: Path) -> None:
        name = os.fsdecode(b"m\xffdel")
        tiny_model.rename(tmp_path / name)
        folder = export_model(tmp_path, tmp_path / "artifact", subfolder=name)
        assert StaticEmbedder.load(folder).manifest.source.subfolder == "m\ufffddel"

    @pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
    def test_command_line(self, portvec: RunPortvec, tiny_model: Path, tmp_path: Path, name: str) -> None:
        source = tiny_model.rename(tmp_path / name)
        (tmp_path / "out").mkdir()
        output = tmp_path / "out" / name
        runs: list[tuple[object, ...]] = [
            ("export", source, "-o", output),
            ("info", output),
            ("verify", output),
            ("embed", output, "the value"),
            ("embed", source, "the value"),
        ]
        for arguments in runs:
            result = portvec(*arguments)
            assert result.returncode == 0, result.stderr
        missing = portvec("embed", source / "missing", "x")
        assert (missing.returncode, missing.stderr.count("\n")) == (1, 1)


def test_name_that_is_too_long(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"x: cannot be written \(File name too long\)$"):
        export_model(tiny_model, tmp_path / ("x" * 256))
    with pytest.raises(SourceError, match=r"x: cannot be looked up \(File name too long\); expected an"):
        StaticEmbedder.load(tmp_path / ("x" * 256))


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


def add_lying_dtype(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DTYPES, "lying", Dtype(codec="faulty_codecs:LyingCodec", summed_bytes=4))
    monkeypatch.setitem(table._VALUES, "lying", table._VALUES["float32"])


def test_stays_as_it_was_if_the_check_fails(
    tiny_model: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_lying_dtype(monkeypatch)
    before = contents(tiny)
    message = rf"^{re.escape(str(tiny))}: the embedding of recorded text \d+ differs by .*; check the onnx"
    with pytest.raises(ArtifactError, match=message):
        export_model(tiny_model, tiny, dtype="lying", overwrite=True)
    assert contents(tiny) == before
    assert [path.name for path in tiny.parent.iterdir() if path.name.startswith(".")] == []


def test_is_left_out_if_the_check_fails(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_lying_dtype(monkeypatch)
    with pytest.raises(ArtifactError, match=f"^{re.escape(str(tmp_path / 'out' / 'a'))}: the embedding"):
        export_model(tiny_model, tmp_path / "out" / "a", dtype="lying")
    assert names(tmp_path / "out") == []


def test_disk_full(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DTYPES, "full", Dtype(codec="faulty_codecs:FullDiskCodec", summed_bytes=4))
    target = tmp_path / "out" / "artifact"
    with pytest.raises(ExportError, match=r"artifact: cannot be written \(No space left on device"):
        export_model(tiny_model, target, dtype="full")
    assert names(target.parent) == []
