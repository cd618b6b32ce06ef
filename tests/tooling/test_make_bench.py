"""What `make bench` makes of its results: targets, reached or missed, and the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import document as pages
from benchmarks import targets
from project import ROOT


def result(contender: str, rate: float, *, model: str = "wordpiece", texts: str = "paragraphs") -> Any:
    return {
        "contender": contender,
        "model": model,
        "texts": texts,
        "threads": 2,
        "agreement": 1.0,
        "texts_per_second": {"median": rate, "min": rate / 2, "max": rate * 2, "repeats": 3},
    }


def spread(**values: float) -> dict[str, dict[str, float]]:
    return {
        name: {"median": value, "min": value, "max": value, "repeats": 1} for name, value in values.items()
    }


@pytest.fixture
def measured() -> dict[str, Any]:
    """What `python -m benchmarks` measures, with round numbers."""
    sets = [("wordpiece", "paragraphs"), ("wordpiece", "languages"), ("unigram", "paragraphs")]
    sets.append(("bpe", "paragraphs"))
    rates = {"portvec float32": 1200.0, "portvec int8": 1700.0, "portvec float32, tokenizers": 300.0}
    rates |= {"model2vec": 100.0, "fastembed": 50.0}
    warm = [
        result(name, rate, model=model, texts=texts) for model, texts in sets for name, rate in rates.items()
    ]
    queries = [("portvec float32", 20e-6), ("model2vec", 100e-6)]
    warm += [
        {**result(name, 1), "texts": "queries", "query_seconds": {"p50": p50, "p99": 1}}
        for name, p50 in queries
    ]
    for found in warm:
        if found["texts"] == "queries":
            del found["texts_per_second"]
    own, peer = spread(seconds=1.0, peak_bytes=60e6), spread(seconds=8.0, peak_bytes=100e6)
    whole = {"portvec float32": own, "portvec float32, tokenizers": own, "model2vec": peer, "fastembed": peer}
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
        "peers": ["model2vec", "fastembed"],
        "texts": {"cold": {"texts": 50_000, "words": 1}},
        "models": {"huge": {"rows": 500_000, "dim": 256}},
        "warm": warm,
        "cold": whole,
        "start": whole,
        "export": {"portvec": own, "model2vec": peer},
        "open": {"portvec": spread(session_seconds=0.004, session_private_bytes=2e6)},
        "scaling": [
            {"contender": "portvec float32", "count": 1000, "seconds": 0.01, "working_bytes": 5_000_000}
        ],
        "quality": [
            {"dtype": dtype, "table_bytes": size, "texts": 20_000, "cosine_min": cosine, "cosine_mean": 1.0}
            for dtype, size, cosine in (("float32", 1000, 1.0), ("int8", 251, 0.99992), ("int4", 150, 0.98))
        ],
        "pooling": {
            "float32_table_bytes_per_second": 9e9,
            "copied_bytes_per_second": 1e10,
            "float32_tokens_per_second": 1e7,
            "int8_tokens_per_second": 1.7e7,
        },
    }


class TestTargets:
    def test_reached_and_missed(self, measured: dict[str, Any]) -> None:
        rows = {row.what: row for row in targets.rows(measured)}
        assert len(rows) == 19
        first = rows["paragraphs, warm, 2 threads, float32"]
        assert (first.target, first.met) == (">= 12x", True)
        assert first.reached == "12.0x (1,200 texts/s, model2vec 100)"
        missed = [what for what, row in rows.items() if not row.met]
        assert missed == [
            "same, int8",
            "start to first vector, peak memory",
            "int4: minimum cosine to float32 over 20,000 paragraphs; size",
        ]

    def test_peer_with_other_vectors_is_no_peer(self, measured: dict[str, Any]) -> None:
        for found in measured["warm"]:
            if found["contender"] == "model2vec" and found["texts"] == "languages":
                found["agreement"] = 0.9
        assert targets.best_peer(measured, "wordpiece", "languages", 2) == ("fastembed", 50.0)
        assert targets.best_peer(measured, "wordpiece", "paragraphs", 2) == ("model2vec", 100.0)
        assert "other vectors: 10%" in "\n".join(pages.lines(measured, {}))

    def test_slowest_set_without_the_fast_extra(self, measured: dict[str, Any]) -> None:
        for found in measured["warm"]:
            if found["contender"] == "portvec float32, tokenizers" and found["model"] == "bpe":
                found["texts_per_second"]["median"] = 90.0
        row = next(row for row in targets.rows(measured) if "slowest" in row.what)
        assert (row.reached, row.met) == ("0.9x (paragraphs, bpe)", False)


class TestPage:
    def test_what_is_between_the_markers_is_replaced(self, measured: dict[str, Any], tmp_path: Path) -> None:
        page = tmp_path / "page.md"
        page.write_text(f"before\n{pages.BEGIN}\nwhat was\n{pages.END}\nafter\n", encoding="utf-8")
        for _ in range(2):
            pages.write(page, measured, {"A plot": "images/plot.png"})
        text = page.read_text(encoding="utf-8")
        assert text.startswith(
            f"before\n{pages.BEGIN}\nRun on 2026-01-02: A processor, x86_64,\n2 cores, 8 GiB"
        )
        assert text.endswith(f"![A plot](images/plot.png)\n\n{pages.END}\nafter\n")
        assert "what was" not in text
        assert "| same, int8 | >= 18x | 17.0x (1,700 texts/s, model2vec 100) | **missed** |" in text
        assert "| portvec float32 | 1,000 | 10.0 us | 5 MB |" in text

    def test_page_without_markers(self, measured: dict[str, Any], tmp_path: Path) -> None:
        (tmp_path / "page.md").write_text(f"{pages.END}\n")
        with pytest.raises(ValueError, match="lacks the lines"):
            pages.write(tmp_path / "page.md", measured, {})
        assert (tmp_path / "page.md").read_text() == f"{pages.END}\n"

    def test_the_documentation_has_the_markers(self) -> None:
        page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
        assert page.count(pages.BEGIN) == page.count(pages.END) == 1
