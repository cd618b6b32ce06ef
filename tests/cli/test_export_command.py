"""`portvec export`: its options."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_line import RunPortvec
from portvec import StaticEmbedder
from portvec._artifact.folder import open_artifact
from stock_graphs import prove_less


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


@pytest.mark.parametrize(
    ("arguments", "kinds"),
    [
        ("-o out --text-input", ["strings"]),
        ("--text-input -o out", ["strings"]),
        ("--text-input codepoints -o out", ["codepoints"]),
        ("-o out --text-input=codepoints --text-input", ["strings", "codepoints"]),
    ],
)
def test_text_input_may_stand_anywhere_and_twice(
    portvec: RunPortvec,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: str,
    kinds: list[str],
) -> None:
    prove_less(monkeypatch)
    assert portvec("export", tiny_model, *arguments.split()).returncode == 0
    assert list(open_artifact(tmp_path / "out").manifest.text_inputs) == kinds
    shown = portvec("info", "out").stdout
    for kind in kinds:
        assert f"({kind}), " in shown
    assert portvec("verify", "out").returncode == 0
