"""`portvec search`: what is found, and how it is printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command_line import RunPortvec
from project import BATCH_ROUNDING

TEXTS = ["return value", "the file", "return the value of a function", "unrelated"]


def test_json_and_order(portvec: RunPortvec, tiny: Path) -> None:
    result = portvec("search", tiny, "return value", "--json", "-k", "3", stdin="\n".join(TEXTS))
    hits = json.loads(result.stdout)
    assert (hits[0]["text"], hits[0]["position"]) == ("return value", 0)
    assert hits[0]["score"] == pytest.approx(1.0, abs=1e-6)
    assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)
    assert len(hits) == 3


def test_equal_texts_keep_their_order(portvec: RunPortvec, bundled: Path) -> None:
    options = ("-k", "7", "--json")
    result = portvec("search", bundled, "return the value", *options, stdin="the value of a function\n" * 7)
    hits = json.loads(result.stdout)
    positions, scores = ([hit[name] for hit in hits] for name in ("position", "score"))
    assert max(scores) - min(scores) <= BATCH_ROUNDING
    assert (sorted(positions) if BATCH_ROUNDING else positions) == list(range(7))


def test_long_texts_are_cut_to_the_terminal(portvec: RunPortvec, tiny: Path) -> None:
    result = portvec("search", tiny, "value", stdin="value " * 50, COLUMNS="60")
    assert [len(line) for line in result.stdout.splitlines()] == [len(" score  text"), 60]
    assert result.stdout.endswith("…\n")


def test_a_position_is_that_of_the_line(portvec: RunPortvec, tiny: Path) -> None:
    result = portvec("search", tiny, "value", "--json", "-k", "1", stdin="\n\nvalue\n")
    assert [(hit["position"], hit["text"]) for hit in json.loads(result.stdout)] == [(2, "value")]


def test_texts_of_any_format(portvec: RunPortvec, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("n\ttext\n1\tvalue\n")
    (tmp_path / "b.tsv").write_text("n\ttext\n2\tfile\n")
    (tmp_path / "lines").write_text("value\nfile\n")
    (tmp_path / "objects").write_text('{"t": "value"}\n{"t": "file"}\n')
    texts = []
    for options in (
        ["*.tsv"],
        ["lines", "--format", "txt"],
        ["objects", "--format", "jsonl", "--field", "t"],
    ):
        result = portvec("search", tiny, "value", "--json", "-i", *options)
        assert (result.returncode, result.stderr) == (0, "")
        texts.append([hit["text"] for hit in json.loads(result.stdout)])
    stdin = (tmp_path / "objects").read_text()
    result = portvec("search", tiny, "value", "--json", "--format", "jsonl", "--field", "t", stdin=stdin)
    texts.append([hit["text"] for hit in json.loads(result.stdout)])
    assert texts == [["value", "file"]] * 4
    refused = portvec("search", tiny, "value", "-i", "lines")
    assert refused.returncode == 1
    assert refused.stderr.startswith(
        "portvec: error: lines: unknown suffix for texts, expected .txt, .jsonl, "
    )
    assert refused.stderr.endswith(" with .gz or .zst; name the format with --format\n")


def test_nothing_to_search(portvec: RunPortvec, tiny: Path) -> None:
    result = portvec("search", tiny, "value", stdin="")
    assert result.returncode == 1
    assert result.stderr == "portvec: error: standard input: has no text to search\n"
