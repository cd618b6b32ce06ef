"""polars: frames, and plans that go from Parquet to Parquet."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from engines import assert_embedded, count_loads, need_engine, rows, write_files
from portvec.errors import InputError, OptionError, SourceError

need_engine("polars")

import polars as pl

from portvec.integrations.polars import embed


def test_a_frame_keeps_its_order(bundled: Path) -> None:
    table = rows()
    frame: Any = pl.from_arrow(table)
    embedded = embed(frame, bundled)
    assert embedded["id"].to_list() == list(range(len(table)))
    assert embedded.schema["embedding"] == pl.Array(pl.Float32, 256)
    assert_embedded(embedded.to_arrow(), table, bundled)


def test_a_plan_goes_from_parquet_to_parquet_in_order(bundled: Path, tmp_path: Path) -> None:
    table = rows()
    plan = pl.scan_parquet(write_files(table, tmp_path / "texts"))
    embed(plan, bundled, threads=1).sink_parquet(tmp_path / "out.parquet")
    written = pl.read_parquet(tmp_path / "out.parquet")
    assert written["id"].to_list() == list(range(len(table)))
    assert_embedded(written.to_arrow(), table, bundled)


@pytest.mark.skipif(not hasattr(pl, "Float16"), reason="this polars has no half float")
def test_half_floats(bundled: Path, tmp_path: Path) -> None:
    table = rows(100)
    frame: Any = pl.from_arrow(table)
    embedded = embed(frame, bundled, dtype="float16")
    assert embedded.schema["embedding"] == pl.Array(pl.Float16, 256)
    embedded.write_parquet(tmp_path / "out.parquet")
    assert_embedded(pl.read_parquet(tmp_path / "out.parquet").to_arrow(), table, bundled, "float16")


def test_columns_with_other_names_and_none_but_null(bundled: Path) -> None:
    frame = pl.DataFrame({"body": pl.Series([None, None], dtype=pl.Null)})
    embedded = embed(frame, bundled, column="body", name="v")
    assert embedded.columns == ["body", "v"]
    assert embedded["v"].to_list() == [None, None]
    assert embed(frame.clear(), bundled, column="body").height == 0


def test_a_plan_loads_the_model_once(bundled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    artifact = shutil.copytree(bundled, tmp_path / "artifact")  # which no other test has loaded
    loads = count_loads(monkeypatch)
    plan = embed(pl.scan_parquet(write_files(rows(), tmp_path / "texts")), artifact)
    for _ in range(2):
        plan.collect()
    assert loads == [(str(artifact),)]


def test_errors_come_before_the_plan_runs(bundled: Path) -> None:
    plan = pl.LazyFrame({"id": [1], "text": ["a text"]})
    missing = "^no column 'body', has id, text; give another column=...$"
    with pytest.raises(InputError, match=missing):
        embed(plan, bundled, column="body")
    with pytest.raises(InputError, match=r"^the column 'id' is int64, expected string; cast it"):
        embed(plan, bundled, column="id")
    with pytest.raises(InputError, match=r"^has a column 'id' already; give another name=..."):
        embed(plan, bundled, name="id")
    wrong: Any = "int8"
    version = re.escape(pl.__version__)
    with pytest.raises(OptionError, match=rf"^dtype is 'int8', but vectors in polars {version} are float32"):
        embed(plan, bundled, dtype=wrong)
    with pytest.raises(SourceError, match=r"^no/such/folder: no such folder"):
        embed(plan, "no/such/folder")
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'devise'"):
        embed(plan, bundled, devise="cpu")
