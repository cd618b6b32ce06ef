"""The commands of docs/scale.md, as they are written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads
import pytest

from engines import assert_embedded, need_engine, rows, write_files
from project import ROOT

need_engine("ray")

COMMANDS = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "scale.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.skipif(os.name == "nt", reason="the commands are for a POSIX shell")
def test_commands_run_and_write_all_rows(bundled: Path, tmp_path: Path) -> None:
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "a").symlink_to(bundled)
    table = rows(2000, null=False)
    write_files(table, tmp_path / "texts", files=20)
    scripts = Path(sys.executable).parent
    env = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    for block in COMMANDS:
        done = subprocess.run(
            ["sh", "-e", "-c", block],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            encoding="utf-8",
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
    for output, dtype in {
        "vectors.parquet": "float32",
        "vectors-16.parquet": "float16",
        "vectors": "float32",
    }.items():
        written = pads.dataset(tmp_path / output, format="parquet").to_table()
        assert_embedded(written, table, bundled, dtype)
    halves = [pads.dataset(tmp_path / f"vectors-{half}.parquet").to_table() for half in ("even", "odd")]
    assert_embedded(pa.concat_tables(halves), table, bundled)
