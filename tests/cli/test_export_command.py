"""`portvec export`: its options."""

from __future__ import annotations

from pathlib import Path

from command_line import RunPortvec
from portvec import StaticEmbedder


def test_options_of_export(portvec: RunPortvec, tiny_model: Path, tmp_path: Path) -> None:
    options = ["--dtype", "float16", "--dim", "8", "--max-length", "none", "--no-normalize", "--single-file"]
    for overwrite in ([], ["--overwrite"]):
        result = portvec("export", tiny_model, "-o", "out", *options, *overwrite)
        assert result.returncode == 0
        assert result.stderr.startswith("out: 800 x 8 float16, ")
        assert result.stderr.count("\n") == 1
    manifest = StaticEmbedder.load(tmp_path / "out").manifest
    assert (manifest.dim, manifest.dtype, manifest.max_length) == (8, "float16", None)
    assert manifest.normalize is False
    assert not (tmp_path / "out" / "onnx" / "model.onnx_data").exists()
