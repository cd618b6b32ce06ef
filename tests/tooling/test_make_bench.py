"""What `make bench` measures and makes of its results: targets, reached or missed, and the page."""

from __future__ import annotations

import subprocess
import sys
from copy import deepcopy
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import click
import pytest

from benchmarks import document as pages
from benchmarks import targets, texts, warm
from benchmarks.contenders import Contender, without_fast
from benchmarks.timing import FailedError, in_turns, once, one_call, opened
from project import ROOT

FLOAT32, INT8, PLAIN = "portvec float32", "portvec int8", without_fast("float32")
KINDS = ("wordpiece", "unigram", "huge", "bpe")


def spread(**values: float) -> dict[str, dict[str, float]]:
    return {
        name: {"median": value, "min": value / 2, "max": value * 2, "repeats": 3}
        for name, value in values.items()
    }


def rows_of(values: dict[str, Any], **common: Any) -> list[dict[str, Any]]:
    """A result for each contender."""
    return [
        {"contender": name, "threads": 2, "agreement": 1.0, "tokenizer": None, **common, **deepcopy(found)}
        for name, found in values.items()
    ]


@pytest.fixture
def measured() -> dict[str, Any]:
    """What `python -m benchmarks` measures, with round numbers."""
    sets = [("wordpiece", "paragraphs"), ("wordpiece", "languages"), ("unigram", "paragraphs")]
    sets.append(("bpe", "paragraphs"))
    rates = {
        FLOAT32: 1200.0,
        INT8: 1700.0,
        PLAIN: 300.0,
        "model2vec": 100.0,
        "laghu": 240.0,
        "fastembed": 50.0,
    }
    speeds = {name: spread(texts_per_second=rate) for name, rate in rates.items()}
    medians = {FLOAT32: 20e-6, PLAIN: 40e-6, "model2vec": 100e-6, "laghu": 40e-6}
    queries = {name: {"query_seconds": {"p50": p50, "p99": 1}} for name, p50 in medians.items()}
    whole = {
        FLOAT32: spread(seconds=1.0, private_bytes=60e6),
        PLAIN: spread(seconds=2.0, private_bytes=50e6),
        "model2vec": spread(seconds=8.0, private_bytes=100e6),
        "laghu": spread(seconds=2.0, private_bytes=50e6),
    }
    exports = {
        "portvec": spread(seconds=1.0, peak_bytes=60e6),
        "model2vec": spread(seconds=8.0, peak_bytes=100e6),
    }
    return {
        "date": "2026-01-02",
        "device": {
            "cpu": "A processor",
            "architecture": "x86_64",
            "cores_available": 2,
            "memory_bytes": 2**33,
            "system": "Linux",
            "python": "CPython 3.11",
            "packages": {"portvec": "0.1"},
        },
        "threads": 2,
        "peers": ["model2vec", "laghu", "fastembed"],
        "texts": {
            "cold paragraphs": {"texts": 50_000, "words": 1},
            "cold languages": {"texts": 33_000, "words": 1},
        },
        "models": {"huge": {"rows": 500_000, "dim": 256}},
        "warm": [row for model, name in sets for row in rows_of(speeds, model=model, texts=name)],
        "queries": [
            row
            for model in KINDS
            for name in ("known words", "a new word")
            for row in rows_of(queries, model=model, texts=name)
        ],
        "processes": [
            row
            for model in KINDS
            for name in ("first vector", "paragraphs", "languages")
            for row in rows_of(whole, model=model, texts=name)
        ],
        "export": rows_of(exports, model="wordpiece")
        + rows_of({"portvec": spread(seconds=16.0, peak_bytes=600e6)}, model="huge"),
        "open": [spread(session_seconds=0.004, session_private_bytes=2e6)],
        "scaling": [{"contender": FLOAT32, "count": 1000, "seconds": 0.01, "working_bytes": 5_000_000}],
        "quality": [
            {"dtype": dtype, "table_bytes": size, "texts": 20_000, "cosine_min": cosine, "cosine_mean": 1.0}
            for dtype, size, cosine in (("float32", 1000, 1.0), ("int8", 251, 0.99992), ("int4", 150, 0.98))
        ],
        "pooling": [
            {
                "float32_table_bytes_per_second": 9e9,
                "copied_bytes_per_second": 1e10,
                "float32_tokens_per_second": 1e7,
                "int8_tokens_per_second": 1.7e7,
            }
        ],
    }


def found_in(measured: dict[str, Any], section: str, contender: str, model: str, name: str) -> dict[str, Any]:
    wanted = (contender, model, name)
    return next(r for r in measured[section] if (r["contender"], r["model"], r["texts"]) == wanted)


def row(measured: dict[str, Any], start: str) -> targets.Row:
    (found,) = (row for row in targets.rows(measured) if row.what.startswith(start))
    return found


class TestTargets:
    def test_reached_and_missed(self, measured: dict[str, Any]) -> None:
        rows = {row.what: row for row in targets.rows(measured)}
        assert len(rows) == 38
        first = rows["paragraphs, warm, 2 threads, WordPiece, float32"]
        assert (first.target, first.met) == (">= 2x", True)
        assert first.reached == "5.0x (texts/s: 1,200, laghu 240, model2vec 100)"
        start = rows["start to first vector, Unigram 500k, whole process"]
        assert (start.target, start.reached) == ("<= 0.7x", "0.50x (1.00 s, laghu 2.00 s, model2vec 8.00 s)")
        missed = [what for what, row in rows.items() if not row.met]
        assert missed == [
            "start to first vector, WordPiece, private memory",
            "start to first vector, Unigram, private memory",
            "start to first vector, Unigram 500k, private memory",
            "export, Unigram 500k, whole process",
            "int4: minimum cosine to float32 over 20,000 paragraphs; size",
        ]

    def test_peer_with_other_vectors_is_no_peer(self, measured: dict[str, Any]) -> None:
        found_in(measured, "warm", "laghu", "wordpiece", "languages")["agreement"] = 0.9
        assert row(measured, "many languages").reached == "12.0x (texts/s: 1,200, model2vec 100)"
        assert "laghu" in row(measured, "paragraphs, warm, 2 threads, WordPiece").reached
        cold = "33,000 lines in many languages, cold process, WordPiece"
        assert row(measured, cold).reached == "0.12x (1.00 s, model2vec 8.00 s)"
        assert "laghu" in row(measured, "50,000 paragraphs, cold process, WordPiece").reached
        assert "other vectors: 10%" in "\n".join(pages.lines(measured, {}))

    def test_the_best_peer_is_that_of_the_row(self, measured: dict[str, Any]) -> None:
        found_in(measured, "processes", "model2vec", "bpe", "paragraphs")["seconds"]["median"] = 1.25
        assert row(measured, "50,000 paragraphs, cold process, byte-level BPE").reached == (
            "0.80x (1.00 s, model2vec 1.25 s, laghu 2.00 s)"
        )

    def test_never_slower_than_model2vec(self, measured: dict[str, Any]) -> None:
        found_in(measured, "warm", PLAIN, "bpe", "paragraphs")["texts_per_second"]["median"] = 90.0
        found_in(measured, "queries", FLOAT32, "huge", "a new word")["query_seconds"]["p50"] = 200e-6
        found = row(measured, "without the fast extra")
        assert found.reached == f"0.90x (paragraphs, warm, bpe, threads 2, {PLAIN})"
        assert not found.met
        assert (
            row(measured, "with the fast extra").reached == f"0.50x (one query, a new word, huge, {FLOAT32})"
        )

    def test_peer_that_fell_back_or_failed_is_named(self, measured: dict[str, Any]) -> None:
        for section in ("warm", "queries", "processes"):
            for result in measured[section]:
                if (result["contender"], result["model"]) == ("laghu", "bpe"):
                    result["tokenizer"] = "tokenizers"
        failed = {
            "contender": "laghu",
            "model": "huge",
            "threads": 2,
            "failed": "its process ended with code 1",
        }
        for section in ("queries", "processes"):
            measured[section] = [
                {**failed, "texts": r["texts"]} if (r["contender"], r["model"]) == ("laghu", "huge") else r
                for r in measured[section]
            ]
        assert (
            "laghu (falls back to tokenizers) 240"
            in row(measured, "paragraphs, warm, byte-level BPE").reached
        )
        assert row(measured, "one query of known words, p50, Unigram 500k").reached == (
            "0.20x (20 us, model2vec 100 us)"
        )
        page = "\n".join(pages.lines(measured, {}))
        assert "| laghu (falls back to tokenizers) | 2.00 s |" in page
        assert (
            "| laghu | 240 (120 - 480) | 240 (120 - 480) | 240 (120 - 480) | falls back: 240 (120 - 480) |"
            in page
        )
        assert "| laghu | failed | failed |" in page
        assert "laghu failed on the model huge: its process ended with code 1." in page

    def test_only_what_was_measured_has_rows(self, measured: dict[str, Any]) -> None:
        for section in ("warm", "queries", "export", "open", "scaling", "quality", "pooling"):
            del measured[section]
        measured["processes"] = [r for r in measured["processes"] if r["texts"] == "first vector"]
        assert {row.what.split(",")[0] for row in targets.rows(measured)} == {
            "start to first vector",
            "with the fast extra: lowest speed of all",
            "without the fast extra: lowest speed of all",
        }
        page = "\n".join(pages.lines(measured, {}))
        head = "| | start to first vector | private memory then |\n|---|--:|--:|"
        assert f"{head}\n| {FLOAT32} | 1.00 s | 60 MB |" in page


class TestPage:
    def test_what_is_between_the_markers_is_replaced(self, measured: dict[str, Any], tmp_path: Path) -> None:
        page = tmp_path / "page.md"
        page.write_text(f"before\n{pages.BEGIN}\nwhat was\n{pages.END}\nafter\n", encoding="utf-8")
        for _ in range(2):
            pages.write(page, measured, {"A plot": "images/plot.png"})
        text = page.read_text(encoding="utf-8")
        assert text.startswith(
            f"before\n{pages.BEGIN}\nRun on 2026-01-02: A processor, x86_64, 2 cores, 8 GiB, Linux; CPython"
        )
        assert text.endswith(f"![A plot](images/plot.png)\n\n{pages.END}\nafter\n")
        assert "what was" not in text
        assert "| same, int8 | >= 3x | 7.1x (texts/s: 1,700, laghu 240, model2vec 100) | met |" in text
        assert "| export, Unigram 500k, whole process | <= 15.00 s | 16.00 s | **missed** |" in text
        assert f"| {FLOAT32} | 1.00 s | 60 MB | 20 us | 20 us | 1.00 s | 60 MB | 1.00 s | 60 MB |" in text
        assert "| portvec float32 | 1,000 | 10.0 us | 5 MB |" in text

    def test_page_without_markers(self, measured: dict[str, Any], tmp_path: Path) -> None:
        (tmp_path / "page.md").write_text(f"{pages.END}\n")
        with pytest.raises(ValueError, match="lacks the lines"):
            pages.write(tmp_path / "page.md", measured, {})
        assert (tmp_path / "page.md").read_text() == f"{pages.END}\n"

    def test_the_documentation_has_the_markers(self) -> None:
        page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
        assert page.count(pages.BEGIN) == page.count(pages.END) == 1


class TestTexts:
    def test_new_words_are_all_new(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(texts, "CORPORA", tmp_path)  # the documentation of Python, which is always there
        known = {word for sentence in texts.sentences(1_000) for word in sentence.split()}
        sentences = [text for turn in islice(texts.with_new_words(5_000), 3) for text in turn]
        new = [[word for word in sentence.split() if word not in known] for sentence in sentences]
        assert len(sentences) == 15_000
        assert {len(words) for words in new} == {1}
        assert len({word for (word,) in new}) == 15_000
        assert {len(word) for (word,) in new} == {8}

    def test_lines_in_many_languages_are_taken_evenly(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(texts, "CORPORA", tmp_path)
        everything = texts.languages(10**9)
        some = texts.languages(len(everything) * 2 // 3)
        places = [everything.index(text) for text in some]
        assert len(some) == len(everything) * 2 // 3
        assert places == sorted(places)
        assert places[0] == 0
        assert places[-1] >= len(everything) - 3


# laghu is in the environment of `make bench` only, so here it is a peer that fails.
LAGHU = Contender("laghu", "laghu", {"folder": "", "vocabulary": "", "max_length": None})


def test_without_fast(tiny: Path) -> None:
    code = """
import sys
from benchmarks.peers import LOADERS
encode, _ = LOADERS["portvec without fast"][1](model=sys.argv[1], threads=1)
encode(["the value of a function"] * 2000)
print(encode.__self__.tokenizer)
"""
    result = subprocess.run(
        [sys.executable, "-c", code, tiny], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert result.stdout == "compiled\n"


class TestPeerThatFails:
    def test_is_called_no_more(self) -> None:
        calls: list[str] = []

        def measure(name: str, *, fails: bool) -> dict[str, Any]:
            calls.append(name)
            if fails:
                raise FailedError("why")
            return {"seconds": float(len(calls)), "tokenizer": "a tokenizer"}

        found = in_turns(
            {"portvec": partial(measure, "own", fails=False), "laghu": partial(measure, "peer", fails=True)},
            2,
        )
        assert calls == ["own", "peer", "own"]
        assert found["laghu"] == {"failed": "why"}
        assert found["portvec"] == {
            "seconds": {"median": 2.0, "min": 1.0, "max": 3.0, "repeats": 2},
            "tokenizer": "a tokenizer",
        }
        with pytest.raises(FailedError, match="why"):
            in_turns({"portvec float32": partial(measure, "own", fails=True)}, 1)

    @pytest.mark.skipif(sys.platform != "linux", reason="private memory is read from /proc")
    def test_whole_processes(self, tiny: Path) -> None:
        own = Contender(FLOAT32, "portvec", {"model": str(tiny)})
        found = in_turns({c.name: partial(once, c, ["a text", "another"], 1) for c in (own, LAGHU)}, 1)
        assert found["laghu"] == {
            "failed": "its process ended with code 1 (ModuleNotFoundError: No module named 'laghu')"
        }
        assert 0 < found[FLOAT32]["seconds"]["median"] < 600
        assert 1e6 < found[FLOAT32]["private_bytes"]["median"] <= found[FLOAT32]["peak_bytes"]["median"]
        call = one_call(own, ["a text"] * 1000, 1)
        assert call["seconds"] > 0

    @pytest.mark.skipif(sys.platform != "linux", reason="reads the process's memory as Linux shows it")
    def test_session(self, tiny: Path) -> None:
        found = opened(tiny)
        assert 0 < found["session_seconds"] < 60
        assert 0 <= found["session_private_bytes"] < 1e8

    @pytest.mark.skipif(sys.platform == "win32", reason="make bench needs POSIX")
    def test_loaded_once(self, tiny: Path, tiny_model: Path) -> None:
        model2vec = Contender("model2vec", "model2vec", {"folder": str(tiny_model)})
        plain = Contender(PLAIN, "portvec without fast", {"model": str(tiny)})
        sets = {"some": ["a text", "another text"]}
        found = list(warm.throughput([plain, model2vec, LAGHU], sets, 1, rounds=1, seconds=0))
        assert [result["contender"] for result in found] == [PLAIN, "model2vec", "laghu"]
        assert found[0]["agreement"] == found[1]["agreement"] == 1.0
        assert found[0]["tokenizer"] is None  # asking for its name would load the one for many texts
        assert "No module named 'laghu'" in found[2]["failed"]
        asked = list(warm.queries([plain, LAGHU], 1, rounds=1, seconds=0))
        assert [(r["texts"], "failed" in r) for r in asked] == [
            (name, failed) for name in ("known words", "a new word") for failed in (False, True)
        ]
        assert asked[0]["query_seconds"]["repeats"] == 100
        with pytest.raises(click.ClickException, match="no such folder"):
            list(
                warm.throughput(
                    [Contender(FLOAT32, "portvec", {"model": "no"})], sets, 1, rounds=1, seconds=0
                )
            )
