"""What hosts read and write, and how the runner judges it. No host runs here."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import run_text_input
from text_input import hosts, results
from text_input.hosts import Host
from text_input.job import Result, read_result, write_job
from text_input.kinds import KINDS
from text_input.results import Job, Row, run

TEXTS = ["a", "", "ö\0b", "🙂"]
IDS = [[97], [], [246, 0, 98], [0x1F642]]


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """A graph whose ids are the code points, and whose vectors are twice their sums."""
    shape = ["batch_size", "length"]
    nodes = [
        helper.make_node("Cast", ["codepoints"], ["input_ids"], to=TensorProto.INT64),
        helper.make_node("Max", ["codepoints", "zero"], ["positive"]),
        helper.make_node("ReduceSum", ["positive", "one"], ["sum"]),
        helper.make_node("Cast", ["sum"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Concat", ["float", "float"], ["sentence_embedding"], axis=1),
    ]
    stored = [
        helper.make_tensor("zero", TensorProto.INT32, [], [0]),
        helper.make_tensor("one", TensorProto.INT64, [1], [1]),
    ]
    inputs = [helper.make_tensor_value_info("codepoints", TensorProto.INT32, shape)]
    outputs = [
        helper.make_tensor_value_info("input_ids", TensorProto.INT64, shape),
        helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, ["batch_size", 2]),
    ]
    made = helper.make_graph(nodes, "g", inputs, outputs, stored)
    model = helper.make_model(made, ir_version=8, opset_imports=[helper.make_opsetid("", 18)])
    path = tmp_path / "graph.onnx"
    onnx.save_model(model, path)
    return path


def vectors(ids: list[list[int]]) -> np.ndarray:
    return np.array([[sum(row)] * 2 for row in ids], dtype=np.float32)


def test_python_host_reads_a_job_and_writes_its_result(graph: Path, tmp_path: Path) -> None:
    write_job(tmp_path / "job", [TEXTS[:3], TEXTS[3:]])
    command = [sys.executable, hosts.HERE / "host.py", graph, tmp_path / "job", tmp_path / "result"]
    subprocess.run([str(part) for part in command], check=True)
    found = read_result(tmp_path / "result")
    assert found.ids == IDS
    np.testing.assert_array_equal(found.vectors, vectors(IDS))


def test_ids_after_padding_are_refused(tmp_path: Path) -> None:
    numbers = np.array([1, 3, 1, 5, -1, 6], dtype="<i4").tobytes() + np.zeros(1, "<f4").tobytes()
    (tmp_path / "result").write_bytes(numbers)
    with pytest.raises(ValueError, match="ids follow padding"):
        read_result(tmp_path / "result")


@pytest.fixture
def job(tmp_path: Path) -> Job:
    graphs = {"strings": tmp_path / "graph"}
    return Job("some", graphs, {True: TEXTS}, {True: tmp_path / "job"}, {True: Result(IDS, vectors(IDS))})


def judged(job: Job, monkeypatch: pytest.MonkeyPatch, result: Result) -> Row:
    monkeypatch.setattr(results, "_run", lambda *_: ("1.2.3", result))
    return run(Host("some", []), [job])


def test_same_ids_and_vectors_pass(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    row = judged(job, monkeypatch, Result(IDS, vectors(IDS) + np.float32(4e-6) * (vectors(IDS) == 0)))
    assert (row.problem, row.version, row.compared, row.other_ids) == ("", "1.2.3", 4, 0)
    assert row.worst == pytest.approx(4e-6)


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        (Result([[97], [], [246, 98], [0x1F642]], vectors(IDS)), "ids differ"),
        (
            Result(IDS, vectors(IDS) + np.float32(1.1e-5) * (vectors(IDS) == 0)),
            "vectors differ by more than 1e-05",
        ),
        (Result(IDS, vectors(IDS) * np.float32("nan")), "vectors differ by more than 1e-05"),
        (Result(IDS[1:], vectors(IDS)), "some: failed: gave ids of 3 texts, expected 4"),
        (Result(IDS, vectors(IDS)[1:]), "some: failed: gave vectors of shape (3, 2), expected (4, 2)"),
    ],
)
def test_what_is_wrong_is_found(
    result: Result, problem: str, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert judged(job, monkeypatch, result).problem == problem


def test_program_that_fails_is_told_with_its_last_line(job: Job) -> None:
    program = "import sys; print('said', file=sys.stderr); sys.exit('no such operator')"
    row = run(Host("some", [sys.executable, "-c", program]), [job])
    assert row.problem == "some: failed: no such operator"
    assert not row.missing


def test_host_that_is_not_there_is_told_apart(job: Job) -> None:
    absent = replace(Host("some", []), needs=(hosts.ROOT / "absent",))
    row = run(absent, [job])
    assert (row.problem, row.missing) == ("not run: absent missing, run make test-text-in", True)


def test_write_replaces_what_is_between_the_markers_of_a_name(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "a\n<!-- x -->\nold\n<!-- end of x -->\n<!-- y -->\n<!-- end of y -->\n", encoding="utf-8"
    )
    results.write(page, "x", "new\n")
    expected = "a\n<!-- x -->\nnew\n<!-- end of x -->\n<!-- y -->\n<!-- end of y -->\n"
    assert page.read_text(encoding="utf-8") == expected


def test_operators_of_all_models_are_listed_once(tmp_path: Path) -> None:
    jobs = []
    for name, content in (("a", "# made\nai.onnx;9;Cast,Add\n"), ("b", "ai.onnx;13;If\nai.onnx;9;Add,Abs\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.config").write_text(content)
        jobs.append(Job(name, {"ort": tmp_path / name / "x.ort"}, {}, {}, {}))
    assert run_text_input.operators(jobs) == "```text\nai.onnx;9;Abs,Add,Cast\nai.onnx;13;If\n```\n"


def test_page_has_every_kind_and_host_without_other_ids() -> None:
    page = (hosts.ROOT / "docs" / "text-in.md").read_text(encoding="utf-8")
    tables = page.split("<!-- hosts -->\n")[1].split("<!-- end of hosts -->")[0]
    lines = [line for line in tables.splitlines() if "," in line]  # with numbers of texts
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    names = [kind.name for kind in KINDS] + [host.name for host in hosts.hosts()]
    assert [row[0] for row in rows] == names
    assert [row[3] for row in rows] == ["0"] * len(rows)
    assert all(float(row[4]) <= results.TOLERANCE for row in rows if len(row) > 4)


def test_every_host_says_what_it_needs() -> None:
    found = hosts.hosts()
    assert len({host.name + str(host.needs) + host.graph for host in found}) == len(found)
    assert all(host.needs for host in found)
    assert {host.graph for host in found} == {"strings", "codepoints", "ort"}
