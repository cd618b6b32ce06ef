"""Daft: frames and expressions, in threads of this process and in processes of their own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from engines import assert_embedded, count_loads, need_engine, rows, write_files
from frameworks import in_fresh_process
from portvec.errors import InputError, OptionError, SourceError

need_engine("daft")

import daft

from portvec.integrations.daft import embed, embed_expression

# In a process of its own, because Daft leaves the pipes of its workers open.
PROGRAM = """
import os, sys, daft
from portvec.integrations.daft import embed
artifact, folder, out, use_process = sys.argv[1:]
os.chdir(os.path.dirname(artifact))
frame = embed(
    daft.read_parquet(folder), os.path.basename(artifact), use_process=eval(use_process), batch_size=1000
)
os.chdir("/")  # the artifact is found nevertheless
frame.write_parquet(out)
"""


@pytest.mark.parametrize("use_process", [False, True, None])
def test_parquet_to_parquet(bundled: Path, tmp_path: Path, use_process: bool | None) -> None:
    table = rows()
    folder = write_files(table, tmp_path / "texts")
    in_fresh_process(PROGRAM, bundled, folder, tmp_path / "out", use_process)
    assert_embedded(daft.read_parquet(str(tmp_path / "out")).to_arrow(), table, bundled)


def test_half_floats(bundled: Path) -> None:
    table = rows(100)
    assert_embedded(
        embed(daft.from_arrow(table), bundled, dtype="float16").to_arrow(), table, bundled, "float16"
    )


def test_an_expression(bundled: Path) -> None:
    table = rows(100)
    frame = daft.from_arrow(table)
    embeddings = embed_expression(frame["text"], bundled, threads=2).alias("embedding")
    assert_embedded(frame.select("id", "text", "kept", embeddings).to_arrow(), table, bundled)


def test_a_plan_loads_the_model_once(bundled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    artifact = shutil.copytree(bundled, tmp_path / "artifact")  # which no other test has loaded
    loads = count_loads(monkeypatch)
    embed(daft.from_arrow(rows()), artifact, batch_size=500).collect()
    assert loads == [(str(artifact),)]


def test_errors_come_before_the_plan_runs(bundled: Path) -> None:
    frame = daft.from_pydict({"id": [1], "text": ["a text"]})
    with pytest.raises(InputError, match=r"^no column 'body', has id, text; give another column=...$"):
        embed(frame, bundled, column="body")
    with pytest.raises(InputError, match=r"^the column 'id' is int64, expected string; cast it"):
        embed(frame, bundled, column="id")
    with pytest.raises(InputError, match=r"^has a column 'id' already; give another name=..."):
        embed(frame, bundled, name="id")
    wrong: Any = "int8"
    with pytest.raises(OptionError, match=r"^dtype 'int8' is unknown, expected one of float32, float16$"):
        embed(frame, bundled, dtype=wrong)
    with pytest.raises(SourceError, match=r"^no/such/folder: no such folder"):
        embed(frame, "no/such/folder")
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'devise'"):
        embed(frame, bundled, devise="cpu")


def test_an_expression_of_numbers_says_so_when_it_runs(bundled: Path) -> None:
    frame = daft.from_pydict({"id": [1, 2]})
    with pytest.raises(Exception, match=r"the column 'id' is int64, expected string; cast it"):
        frame.select(embed_expression(frame["id"], bundled)).collect()
