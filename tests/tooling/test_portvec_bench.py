"""`portvec bench`: what it measures and prints, its texts, and the processes of other libraries."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

import click
import numpy as np
import pytest

import classifiers
import tiny_models
from command_line import RunPortvec
from portvec._cli.bench import memory, report, texts
from portvec._cli.bench.client import Worker
from portvec._cli.bench.measure import agree, measure
from portvec._cli.bench.sources import check_installed
from portvec.errors import FileError, MissingExtraError
from portvec_export import export_model
from project import ROOT

SETS = ("short", "medium", "long")
QUICK = ("--seconds", "0")
FILE = "a text\nanother text\nthe third\n"


class TestCommand:
    def test_json_has_every_measure(self, portvec: RunPortvec, tiny: Path) -> None:
        result = portvec("bench", tiny, "--json", "--threads", "1", "--tokenizer", "tokenizers", *QUICK)
        assert (result.returncode, result.stderr) == (0, "")
        document = json.loads(result.stdout)
        assert document["tokenizer"].startswith("tokenizers")
        assert (document["threads"], document["dim"]) == (1, 24)
        assert document["device"]["architecture"]
        assert {"portvec", "onnxruntime"} <= document["device"]["packages"].keys()
        own = document["implementations"]["portvec"]
        assert tuple(own["texts_per_second"]) == SETS
        for rate in own["texts_per_second"].values():
            assert 0 < rate["min"] <= rate["median"] <= rate["max"]
        assert 0 < own["query_seconds"]["p50"] <= own["query_seconds"]["p99"]
        assert 0 < own["load_seconds"] < own["start_to_first_vector_seconds"]
        if sys.platform == "linux":
            assert 1e7 < own["resident_bytes_after_load"] < own["peak_bytes"] < 1e9

    def test_prints_a_table_and_a_row_for_the_documentation(
        self, portvec: RunPortvec, tiny: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "texts.txt").write_text(FILE)
        result = portvec("bench", tiny, "-i", "texts.txt", *QUICK)
        assert result.returncode == 0
        lines = result.stdout.splitlines()
        starts = ("model  ", "device  ", "versions  ", "in use  ", "texts, texts/s", "one query, p50", "load")
        assert all(any(line.startswith(start) for line in lines) for start in starts)
        assert "texts: 3 texts of 2 words" in lines
        assert lines[-1].count("|") == len(report.DEVICE_COLUMNS) + 1
        page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
        assert f"| {' | '.join(report.DEVICE_COLUMNS)} |\n" in page

    @pytest.mark.parametrize("dtype", ["float32", "int8"])
    @pytest.mark.slow
    def test_compares_with_the_model_that_an_artifact_was_made_from(
        self, portvec: RunPortvec, tiny_model: Path, tmp_path: Path, dtype: str
    ) -> None:
        export_model(tiny_model, tmp_path / "artifact", dtype=dtype)
        (tmp_path / "texts.txt").write_text(FILE)
        for model in ("artifact", "tiny-model") if dtype == "float32" else ("artifact",):
            arguments = ["-i", "texts.txt", "--compare", "model2vec", *QUICK]
            result = portvec("bench", model, *arguments, cwd=tmp_path)
            assert result.returncode == 0, result.stderr
            header, rate, *_ = (line for line in result.stdout.split("\n\n")[1].splitlines())
            assert header.split() == ["portvec", "model2vec", "ratio"]
            assert rate.endswith("x")
        document = json.loads(portvec("bench", model, "--json", *arguments, cwd=tmp_path).stdout)
        assert document["implementations"]["model2vec"]["agreement"] == {"texts": 1.0}

    def test_source_that_is_not_here(self, portvec: RunPortvec, tiny: Path) -> None:
        result = portvec("bench", tiny, "--compare", "model2vec", *QUICK)
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr == (
            f"portvec: error: {tiny}: peers need the Model2Vec model that it was made from, model, which is "
            "not in the current folder; give the Model2Vec folder itself as MODEL\n"
        )

    def test_peers_do_not_compute_layers(self, portvec: RunPortvec, tmp_path: Path) -> None:
        classifiers.pipeline("regressor").save_pretrained(str(tmp_path / "model"))
        arguments = ("--semantics", "projector", "--compare", "model2vec", *QUICK)
        result = portvec("bench", "model", *arguments, cwd=tmp_path)
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr == (
            "portvec: error: model: has layers after the mean, which peers do not compute; leave out "
            "--compare\n"
        )

    @pytest.mark.slow
    def test_no_time_counts_where_vectors_differ(
        self, portvec: RunPortvec, tiny_model: Path, tmp_path: Path
    ) -> None:
        export_model(tiny_model, tmp_path / "artifact")
        tiny_models.save(tiny_model, vectors=tiny_models.vectors(800) + 1)
        (tmp_path / "texts.txt").write_text(FILE)
        arguments = ["artifact", "-i", "texts.txt", "--compare", "model2vec", *QUICK]
        result = portvec("bench", *arguments, cwd=tmp_path)
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.startswith(
            "portvec: error: texts: the vectors of model2vec differ for 100.0% of the texts, so times cannot "
            "be compared; run 'portvec verify', and check that the Model2Vec folder is the one"
        )

    @pytest.mark.skipif(find_spec("fastembed") is not None, reason="fastembed is installed")
    def test_peer_that_is_not_installed(self, portvec: RunPortvec, tiny: Path) -> None:
        result = portvec("bench", tiny, "--compare", "fastembed")
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr == (
            "portvec: error: --compare fastembed: fastembed is not installed; run pip install fastembed\n"
        )

    def test_wrong_use(self, portvec: RunPortvec, tiny: Path, tmp_path: Path) -> None:
        unknown = portvec("bench", tiny, "--compare", "torch")
        assert unknown.returncode == 2
        assert "'torch' is not one of 'model2vec', 'fastembed'" in unknown.stderr
        missing = portvec("bench", tiny, "-i", "nowhere.txt")
        assert missing.returncode == 1
        assert missing.stderr.startswith("portvec: error: nowhere.txt: cannot be read")
        (tmp_path / "empty.txt").touch()
        assert "empty.txt: has no text to measure with" in portvec("bench", tiny, "-i", "empty.txt").stderr
        model = portvec("bench", "no-such-model", *QUICK)
        assert model.returncode == 1
        assert model.stderr.startswith("portvec: error: no-such-model: no such folder")


class TestTexts:
    def test_sets_are_distinct_texts_of_the_length_they_say(self) -> None:
        sets = texts.make_text_sets()
        assert tuple(sets) == SETS
        for name, words in zip(SETS, (10, 30, 300), strict=True):
            assert len(sets[name]) == len(set(sets[name])) > 100
            assert {len(text.split()) for text in sets[name]} == {words}

    def test_python_without_docstrings_has_the_same(self) -> None:
        program = "from portvec._cli.bench.texts import make_text_sets; print(make_text_sets()['long'][0])"
        printed = subprocess.run(
            [sys.executable, "-OO", "-c", program], check=True, stdout=subprocess.PIPE, encoding="utf-8"
        ).stdout
        assert printed.strip() == texts.make_text_sets()["long"][0]

    def test_python_without_documentation(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
        monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
        with pytest.raises(click.ClickException, match=r"comes without its documentation.* give a file"):
            texts.make_text_sets()

    def test_of_a_long_file_the_first_texts(self, tmp_path: Path) -> None:
        (tmp_path / "many.txt").write_text("\n".join(f"text {i}" for i in range(10_001)))
        assert len(texts.make_text_sets(tmp_path / "many.txt")["texts"]) == 10_000
        (tmp_path / "wide.txt").write_text("\n".join("word " * 200_000 for _ in range(10)))
        assert len(texts.make_text_sets(tmp_path / "wide.txt")["texts"]) == 5
        with pytest.raises(FileError, match=r"none.txt: cannot be read"):
            texts.make_text_sets(tmp_path / "none.txt")


class TestWorker:
    def start(self, folder: Path, load: str) -> Worker:
        (folder / "loaders.py").write_text(
            f"import os\ndef load():\n    {load}\nLOADERS = {{'it': ('json', load)}}\n"
        )
        (folder / "texts.json").write_text('{"some": ["a", "b"]}')
        return Worker("it", "it", {}, folder / "texts.json", loaders=folder / "loaders.py")

    def test_output_of_libraries_does_not_mix_with_answers(self, tmp_path: Path) -> None:
        load = "os.system('echo noise'); print('noise'); return lambda texts: [[1.0]] * len(texts), {'x': 1}"
        with self.start(tmp_path, load) as worker:
            assert worker.facts["x"] == 1
            assert worker.vectors("some").tolist() == [[1.0], [1.0]]
            assert len(worker.run("some", 0)) == 1
            assert len(worker.queries("some", 0)) == 100

    def test_process_that_dies(self, tmp_path: Path) -> None:
        with pytest.raises(click.ClickException, match=r"^it: its process ended with code 3 \(last words\)$"):
            self.start(tmp_path, r"os.write(2, b'first\nlast words\n'); os._exit(3)")

    def test_error_of_a_library(self, tmp_path: Path) -> None:
        with pytest.raises(click.ClickException, match=r"^it: ValueError: no good$"):
            self.start(tmp_path, "raise ValueError('no good')")

    def test_peer_s_process_holds_nothing_of_portvec(self, tmp_path: Path) -> None:
        load = "import sys; return lambda texts: [[0.0]], {'portvec': 'portvec' in sys.modules}"
        with self.start(tmp_path, load) as worker:
            assert worker.facts["portvec"] is False


def test_peer_that_is_not_installed() -> None:
    with pytest.raises(MissingExtraError, match=r"^--compare nopeer: .*; run pip install nopeer$"):
        check_installed("nopeer")


def test_vectors_that_agree() -> None:
    own = np.array([[3, 4], [3, 4], [0, 0], [3, 4]], dtype=np.float32)
    other = own + np.array([[0, 4e-6], [0, 8e-6], [0, 0], [-6, 0]], dtype=np.float32)
    assert agree(own, other, exact=True).tolist() == [True, False, True, False]
    assert agree(own, other, exact=False).tolist() == [True, True, True, False]
    assert not agree(own, other[:, :1], exact=True).any()


def test_memory_that_cannot_be_told(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = measure(str(tiny), {"texts": ["a text"]}, options={}, seconds=0)
    own = document["implementations"]["portvec"]
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "win32")
        own["resident_bytes_after_load"], own["peak_bytes"] = memory.read_resident(), memory.read_peak()
    lines = list(report.format_lines(document))
    assert "peak memory             not measured on this system" in lines
    assert "| unknown / unknown |" in lines[-1]
