"""The command line: outputs, files, exit codes, one-line errors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from command_line import RunPortvec
from portvec import StaticEmbedder
from project import BUNDLED


def test_export_verify_info_embed_search(portvec_process: RunPortvec, tmp_path: Path) -> None:
    artifact = tmp_path / "a"
    exported = portvec_process("export", BUNDLED, "-o", artifact, "--dtype", "float32")
    assert (exported.returncode, exported.stdout) == (0, "")
    assert exported.stderr.endswith("a: 29,525 x 256 float32, 30.9 MB, verified against model2vec 0.10.0\n")

    verified = portvec_process("verify", artifact)
    assert verified.returncode == 0
    assert "a: ok, 64 recorded texts: token ids identical, vectors within " in verified.stdout
    assert json.loads(portvec_process("verify", artifact, "--json").stdout)["texts"] == 64

    info = portvec_process("info", artifact)
    assert info.returncode == 0
    assert "embedding      256 x float32, unit length" in info.stdout
    assert "truncation     first 512 tokens of the first 3,072 characters" in info.stdout
    assert json.loads(portvec_process("info", artifact, "--json").stdout)["dim"] == 256

    embedded = portvec_process("embed", artifact, "hello world")
    assert embedded.returncode == 0
    line = json.loads(embedded.stdout)
    assert line["text"] == "hello world"
    expected = StaticEmbedder.load(artifact).encode("hello world")
    np.testing.assert_array_equal(np.array(line["embedding"], dtype=np.float32), expected)

    (tmp_path / "texts.md").write_text("# Export\n\nHow to export a model.\nNothing here.\n")
    found = portvec_process("search", artifact, "-i", "texts.md", "how do I export a model", "-k", "2")
    assert found.returncode == 0
    lines = found.stdout.splitlines()
    assert lines[0] == " score  text"
    assert lines[1].endswith("  How to export a model.")
    assert len(lines) == 3


class TestEmbed:
    TEXTS = ("first text", "second, with ünïcode 日本", "third")

    def expect(self, tiny: Path) -> np.ndarray:
        return StaticEmbedder.load(tiny).encode(self.TEXTS)

    def write(self, folder: Path, suffix: str) -> Path:
        path = folder / f"texts{suffix}"
        if suffix == ".jsonl":
            rows = [json.dumps({"id": i, "text": text}) for i, text in enumerate(self.TEXTS)]
            path.write_text("\n".join(rows) + "\n", encoding="utf-8")
        elif suffix == ".csv":
            rows = ["id,text", *(f'{i},"{text}"' for i, text in enumerate(self.TEXTS))]
            path.write_text("\n".join(rows) + "\n", encoding="utf-8-sig")
        else:
            path.write_text("\n\n".join(self.TEXTS), encoding="utf-8")
        return path

    @pytest.mark.parametrize("suffix", [".txt", ".jsonl", ".csv"])
    @pytest.mark.parametrize("output", [None, "out.jsonl", "out.npy"])
    def test_files(
        self, portvec: RunPortvec, tiny: Path, tmp_path: Path, suffix: str, output: str | None
    ) -> None:
        path = self.write(tmp_path, suffix)
        result = portvec("embed", tiny, "-i", path, *(["-o", output] if output else []))
        assert result.returncode == 0
        if output == "out.npy":
            embeddings = np.load(tmp_path / output)
        else:
            text = (tmp_path / output).read_text(encoding="utf-8") if output else result.stdout
            rows = [json.loads(line) for line in text.splitlines()]
            assert [row["text"] for row in rows] == list(self.TEXTS)
            embeddings = np.array([row["embedding"] for row in rows], dtype=np.float32)
        if output:
            assert result.stdout == ""
            assert result.stderr == f"{output}: 3 embeddings of dimension 24\n"
        assert embeddings.dtype == np.float32
        np.testing.assert_array_equal(embeddings, self.expect(tiny))

    def test_standard_input(self, portvec: RunPortvec, tiny: Path) -> None:
        for arguments in ([], ["-i", "-"]):
            result = portvec("embed", tiny, *arguments, stdin="\n".join(self.TEXTS))
            rows = [json.loads(line)["embedding"] for line in result.stdout.splitlines()]
            np.testing.assert_array_equal(np.array(rows, dtype=np.float32), self.expect(tiny))

    def test_field(self, portvec: RunPortvec, tiny: Path, tmp_path: Path) -> None:
        (tmp_path / "a.jsonl").write_text('{"body": "first text"}\n')
        (tmp_path / "a.csv").write_text("body\nfirst text\n")
        for name in ("a.jsonl", "a.csv"):
            result = portvec("embed", tiny, "-i", name, "--field", "body")
            assert json.loads(result.stdout)["text"] == "first text"

    def test_no_texts_give_an_empty_array(self, portvec: RunPortvec, tiny: Path, tmp_path: Path) -> None:
        (tmp_path / "empty.txt").write_text("\n")
        assert portvec("embed", tiny, "-i", "empty.txt", "-o", "out.npy").returncode == 0
        assert np.load(tmp_path / "out.npy").shape == (0, 24)

    def test_ten_thousand_texts(self, portvec: RunPortvec, tiny: Path, tmp_path: Path) -> None:
        texts = [f"text number {i}" for i in range(10_001)]
        (tmp_path / "many.txt").write_text("\n".join(texts))
        assert portvec("embed", tiny, "-i", "many.txt", "-o", "out.npy").returncode == 0
        np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), StaticEmbedder.load(tiny).encode(texts))

    def test_failure_half_way_leaves_no_file(self, portvec: RunPortvec, tiny: Path, tmp_path: Path) -> None:
        lines = ['{"text": "x"}'] * 5000 + ["broken"]
        (tmp_path / "a.jsonl").write_text("\n".join(lines))
        (tmp_path / "out.npy").write_text("as it was")
        result = portvec("embed", tiny, "-i", "a.jsonl", "-o", "out.npy")
        assert result.returncode == 1
        assert "a.jsonl, line 5001: not valid JSON (" in result.stderr
        assert (tmp_path / "out.npy").read_text() == "as it was"
        assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []

    @pytest.mark.parametrize(
        ("name", "content", "options", "message"),
        [
            (
                "a.jsonl",
                '{"body": "x"}',
                [],
                "a.jsonl, line 1: expected a string or an object with a string 'text'",
            ),
            ("a.csv", "a,b\n1,2\n", [], "a.csv: no column 'text', has a, b; give another --field"),
            ("a.csv", "", [], "a.csv: no column 'text', has none"),
            ("a.csv", "id,text\n1\n", [], "a.csv, line 2: the row has no column 'text'"),
            (
                "a.txt",
                "x",
                ["--field", "f"],
                "a field is for .jsonl and .csv files; leave out --field",
            ),
            ("a.txt", b"\xff\xfe", [], "a.txt: not UTF-8 (invalid start byte); convert it to UTF-8"),
            (
                "a.txt",
                "x",
                ["-o", "out.parquet"],
                "out.parquet: unknown suffix for embeddings, expected .npy or",
            ),
            (
                "a.txt",
                "x",
                ["-o", "no/such/out.npy"],
                "out.npy: cannot be written (No such file or directory)",
            ),
            (".", None, [], "cannot be read (Is a directory)"),
            ("missing.txt", None, [], "missing.txt: cannot be read (No such file or directory)"),
        ],
    )
    def test_bad_files(
        self,
        portvec: RunPortvec,
        tiny: Path,
        tmp_path: Path,
        name: str,
        content: str | bytes | None,
        options: list[str],
        message: str,
    ) -> None:
        if content is not None:
            (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        result = portvec("embed", tiny, "-i", name, *options)
        assert result.returncode == 1
        assert result.stderr.startswith("portvec: error: ")
        assert message in result.stderr
        assert result.stderr.count("\n") == 1


class TestSearch:
    def test_json_and_order(self, portvec: RunPortvec, tiny: Path) -> None:
        texts = ["return value", "the file", "return the value of a function", "unrelated"]
        result = portvec("search", tiny, "return value", "--json", "-k", "3", stdin="\n".join(texts))
        hits = json.loads(result.stdout)
        assert (hits[0]["text"], hits[0]["position"]) == ("return value", 0)
        assert hits[0]["score"] == pytest.approx(1.0, abs=1e-6)
        assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)
        assert len(hits) == 3

    def test_long_texts_are_cut_to_the_terminal(self, portvec: RunPortvec, tiny: Path) -> None:
        result = portvec("search", tiny, "value", stdin="value " * 50, COLUMNS="60")
        assert [len(line) for line in result.stdout.splitlines()] == [len(" score  text"), 60]
        assert result.stdout.endswith("…\n")

    def test_nothing_to_search(self, portvec: RunPortvec, tiny: Path) -> None:
        result = portvec("search", tiny, "value", stdin="\n\n")
        assert result.returncode == 1
        assert result.stderr == "portvec: error: standard input: has no text to search\n"


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "code", "message"),
        [
            (
                ["export", "./nowhere", "-o", "out"],
                1,
                "./nowhere: no such folder; expected an existing model folder",
            ),
            (["export", "MODEL"], 2, "Missing option '-o' / '--output'; see 'portvec --help'"),
            (
                ["export", "MODEL", "-o", "ARTIFACT"],
                1,
                "exists and is not empty; choose another output, or pass",
            ),
            (
                ["export", "MODEL", "-o", "out", "--dtype", "int3"],
                1,
                "dtype 'int3' is unknown, expected one of float32",
            ),
            (["export", "MODEL", "-o", "out", "--dim", "0"], 2, "0 is not in the range x>=1"),
            (
                ["export", "MODEL", "-o", "out", "--dim", "999"],
                1,
                "dim 999 was asked for, but the model has 24",
            ),
            (
                ["export", "MODEL", "-o", "out", "--max-length", "x"],
                2,
                "neither a whole number of 1 or more nor 'none'",
            ),
            (["export", ".", "-o", "out"], 1, "not a Model2Vec model, which has model.safetensors"),
            (
                ["verify", "nowhere"],
                1,
                "nowhere: no portvec.json, so this is not a portvec artifact; make one with",
            ),
            (
                ["info", "MODEL"],
                1,
                "no portvec.json, so this is not a portvec artifact; make one with 'portvec export'",
            ),
            (
                ["embed", "nowhere", "x"],
                1,
                "nowhere: no such folder; expected an existing model folder or a Hub id",
            ),
            (["embed", "ARTIFACT", "x", "-i", "f"], 2, "give texts as arguments or with -i, not both; see"),
            (["search", "ARTIFACT", "-k", "0", "q"], 2, "0 is not in the range x>=1"),
            (["frobnicate"], 2, "No such command 'frobnicate'; see 'portvec --help'"),
        ],
    )
    def test_one_line_and_exit_code(
        self,
        portvec: RunPortvec,
        tiny: Path,
        tiny_model: Path,
        arguments: list[str],
        code: int,
        message: str,
    ) -> None:
        paths = {"MODEL": tiny_model, "ARTIFACT": tiny}
        result = portvec(*(paths.get(argument, argument) for argument in arguments))
        assert result.returncode == code
        assert result.stdout == ""
        assert result.stderr.startswith("portvec: error: ")
        assert message in result.stderr
        assert result.stderr.count("\n") == 1

    def test_missing_file_of_an_artifact(self, portvec: RunPortvec, tiny: Path) -> None:
        (tiny / "onnx" / "model.onnx_data").unlink()
        for command in (["verify", tiny], ["info", tiny], ["embed", tiny, "x"]):
            result = portvec(*command)
            assert result.returncode == 1
            assert "model.onnx_data: missing, but listed in portvec.json" in result.stderr
            assert result.stderr.count("\n") == 1

    def test_no_arguments_prints_help(self, portvec: RunPortvec) -> None:
        result = portvec()
        assert result.returncode == 2
        assert "Usage: portvec" in result.stdout + result.stderr
        assert portvec("--help").returncode == 0

    @pytest.mark.skipif(sys.platform == "win32", reason="POSIX terminals")
    def test_waiting_terminal_is_told_what_to_give(self, tiny: Path) -> None:
        master, terminal = os.openpty()
        result = subprocess.run(
            [sys.executable, "-m", "portvec", "embed", str(tiny)],
            stdin=terminal,
            capture_output=True,
            encoding="utf-8",
        )
        os.close(master)
        os.close(terminal)
        assert result.returncode == 2
        assert "no text given; pass a file with -i, or pipe lines into standard input" in result.stderr


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


def test_closed_pipe_ends_without_a_message(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "many.txt").write_text("text\n" * 20_000)
    command = f"{sys.executable} -m portvec embed {tiny} -i {tmp_path / 'many.txt'}"
    result = subprocess.run(
        f"({command}; echo code $? >&2) | head -n 1", shell=True, capture_output=True, text=True
    )
    assert result.stderr == "code 1\n"


def test_version(portvec: RunPortvec) -> None:
    import portvec as package

    assert portvec("--version").stdout == f"portvec {package.__version__}\n"


def test_leaves_nothing_in_the_home_folder(portvec_process: RunPortvec, tiny: Path, tmp_path: Path) -> None:
    # onnxruntime's wheels would leave a device id and a database of events.
    assert portvec_process("embed", tiny, "x").returncode == 0
    assert list((tmp_path / "home").iterdir()) == []
