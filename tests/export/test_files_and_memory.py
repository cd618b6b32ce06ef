"""What an export writes: the files of the format, the same bytes each time, in little memory."""

from __future__ import annotations

import copy
import subprocess
import sys
import tracemalloc
import weakref
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from model2vec import StaticModel

import tiny_models
from folders import contents, names
from portvec import StaticEmbedder, verify
from portvec.errors import SourceError
from portvec_export import export_model
from portvec_export._source.files import CopiedTokenizer
from portvec_export._source.rows import rows_of_file


def test_writes_the_files_of_the_format_and_nothing_else(tiny_model: Path, tmp_path: Path) -> None:
    folder = export_model(tiny_model, tmp_path / "out" / "deep")
    assert folder == tmp_path / "out" / "deep"
    assert sorted(contents(folder)) == [
        "1_Pooling/config.json",
        "README.md",
        "config.json",
        "conformance.json",
        "modules.json",
        "onnx/model.onnx",
        "onnx/model.onnx_data",
        "portvec.graph",
        "portvec.json",
        "portvec.vocabulary",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert names(folder.parent) == ["deep"]
    assert verify(folder).texts == 64


def test_exporting_twice_gives_the_same_bytes(tiny_model: Path, tmp_path: Path) -> None:
    first = contents(export_model(tiny_model, tmp_path / "first"))
    assert contents(export_model(tiny_model, tmp_path / "second")) == first


def test_manifest_records_model_and_origin(tiny_model: Path, tmp_path: Path) -> None:
    folder = export_model(tiny_model, tmp_path / "artifact", max_length=100)
    manifest = StaticEmbedder.load(folder).manifest
    model = StaticModel.from_pretrained(tiny_model)
    assert manifest.source.id == "tiny-model"
    assert sorted(manifest.source.sha256) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert manifest.reference == "model2vec 0.10.0"
    assert (manifest.dim, manifest.dtype, manifest.normalize) == (24, "float32", True)
    assert manifest.vocabulary_size == len(model.tokens)
    assert (manifest.max_length, manifest.max_characters) == (100, 100 * model.median_token_length)
    assert manifest.unk_id == model.unk_token_id == 1


@pytest.mark.parametrize(
    ("dtype", "tables"), [("float32", 0.8), ("float16", 0.8), ("int8", 0.9), ("int4", 0.9)]
)
def test_memory_is_a_small_multiple_of_the_table(dtype: str, tables: float, tmp_path: Path) -> None:
    rows, dim = 200_000, 64
    source = tiny_models.save(
        tmp_path / "model",
        vectors=np.random.default_rng(0).standard_normal((rows, dim), dtype=np.float32).astype(np.float16),
        token_mapping=np.arange(800) * (rows // 800),
    )
    tracemalloc.start()  # numpy reports what it allocates
    try:
        export_model(source, tmp_path / "artifact", dtype=dtype)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < tables * rows * dim * 4 + 12e6


_PEAK = """
import sys
from pathlib import Path
from portvec_export import export_model
export_model(sys.argv[1], sys.argv[2])
status = Path("/proc/self/status").read_text()
print(status.partition("VmHWM:")[2].split()[0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
def test_a_float32_table_is_never_in_memory(tmp_path: Path) -> None:
    """Neither copied nor mapped for longer than it takes to read some rows: both count as memory in use."""
    peaks = []
    for rows in (800, 100_000):
        table = np.ones((rows, 256), dtype=np.float32)
        source = tiny_models.save(tmp_path / f"model-{rows}", vectors=table, token_mapping=np.arange(800))
        command = [sys.executable, "-c", _PEAK, str(source), str(tmp_path / f"artifact-{rows}")]
        peaks.append(int(subprocess.run(command, check=True, capture_output=True).stdout) * 1024)
    assert peaks[1] - peaks[0] < table.nbytes / 3


def test_a_table_that_is_changed_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "table"
    table = np.arange(6, dtype=np.float32).reshape(3, 2)
    path.write_bytes(b"1234" + table.tobytes())
    rows = rows_of_file(path, 4, (3, 2), np.float32)
    np.testing.assert_array_equal(rows[1:], table[1:])
    np.testing.assert_array_equal(rows[[2, 0]], table[[2, 0]])
    path.write_bytes(b"12345" + table.tobytes())
    with pytest.raises(SourceError, match=r"table: was changed while it was read; export again$"):
        rows[1:]


class _Watched:
    """Knows, when a copy of it is made, whether it is still there itself."""

    alive: weakref.ref[_Watched] | None = None

    def __setstate__(self, state: dict[str, Any]) -> None:
        assert _Watched.alive is not None
        self.was_alone = _Watched.alive() is None

    def __getstate__(self) -> dict[str, Any]:
        return {"any": "thing"}


def test_a_tokenizer_gives_way_to_its_copy() -> None:
    original = _Watched()
    _Watched.alive = weakref.ref(original)
    passed = CopiedTokenizer(cast(Any, original), {"a": 0})
    assert passed.get_vocab() == {"a": 0}
    del original
    assert cast(Any, copy.deepcopy(passed)).was_alone


def test_a_copied_tokenizer_is_that_of_model2vec(tiny_model: Path) -> None:
    tokenizer = StaticModel.from_pretrained(tiny_model).tokenizer
    copied = copy.deepcopy(tokenizer)
    given = cast(Any, CopiedTokenizer(tokenizer, tokenizer.get_vocab()))
    assert copy.deepcopy(given).to_str() == copied.to_str()
