"""`portvec search`: what is found, and how it is printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command_line import RunPortvec


def test_json_and_order(portvec: RunPortvec, tiny: Path) -> None:
    texts = ["return value", "the file", "return the value of a function", "unrelated"]
    result = portvec("search", tiny, "return value", "--json", "-k", "3", stdin="\n".join(texts))
    hits = json.loads(result.stdout)
    assert (hits[0]["text"], hits[0]["position"]) == ("return value", 0)
    assert hits[0]["score"] == pytest.approx(1.0, abs=1e-6)
    assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)
    assert len(hits) == 3


def test_long_texts_are_cut_to_the_terminal(portvec: RunPortvec, tiny: Path) -> None:
    result = portvec("search", tiny, "value", stdin="value " * 50, COLUMNS="60")
    assert [len(line) for line in result.stdout.splitlines()] == [len(" score  text"), 60]
    assert result.stdout.endswith("…\n")


def test_nothing_to_search(portvec: RunPortvec, tiny: Path) -> None:
    result = portvec("search", tiny, "value", stdin="\n\n")
    assert result.returncode == 1
    assert result.stderr == "portvec: error: standard input: has no text to search\n"
