"""The table of targets, computed from a result: the target, and what was reached."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

# A peer that agrees on a smaller share of the texts does different work: it is left out of every ratio.
LEAST_AGREEMENT = 0.95

Document = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One target.

    Attributes:
        what: what is measured.
        target: the target, as text.
        reached: what was reached, as text, with the figures behind it.
        met: whether the target is met.
    """

    what: str
    target: str
    reached: str
    met: bool


def warm(document: Document, contender: str, model: str, texts: str, threads: int) -> dict[str, float] | None:
    """Return the spread of texts per second of a contender, or None if it did not do the same work."""
    for result in document["warm"]:
        key = (result["contender"], result["model"], result["texts"], result["threads"])
        if key == (contender, model, texts, threads) and result["agreement"] >= LEAST_AGREEMENT:
            spread: dict[str, float] = result["texts_per_second"]
            return spread
    return None


def best_peer(document: Document, model: str, texts: str, threads: int) -> tuple[str, float]:
    """Return the fastest peer with the same vectors, and its median texts per second."""
    found = {peer: warm(document, peer, model, texts, threads) for peer in document["peers"]}
    return max(
        ((peer, spread["median"]) for peer, spread in found.items() if spread), key=lambda pair: pair[1]
    )


def rows(document: Document) -> Iterator[Row]:
    """Yield every target."""
    threads = document["threads"]

    def throughput(what: str, least: float, contender: str, model: str, texts: str) -> Row:
        own = warm(document, contender, model, texts, threads)
        peer, theirs = best_peer(document, model, texts, threads)
        median = own["median"] if own else 0.0
        figures = f"{median:,.0f} texts/s, {peer} {theirs:,.0f}"
        return Row(what, f">= {least:g}x", f"{median / theirs:.1f}x ({figures})", median / theirs >= least)

    fast, plain = "portvec float32", "portvec float32, tokenizers"
    yield throughput(f"paragraphs, warm, {threads} threads, float32", 12, fast, "wordpiece", "paragraphs")
    yield throughput("same, int8", 18, "portvec int8", "wordpiece", "paragraphs")
    yield _cold(document, "same, cold process, float32", 6, fast)
    yield throughput("many languages (WordPiece)", 6, fast, "wordpiece", "languages")
    yield throughput("Unigram model", 5, fast, "unigram", "paragraphs")
    yield throughput("byte-level BPE model", 5, fast, "bpe", "paragraphs")
    yield throughput("without the fast extra: paragraphs, warm", 3, plain, "wordpiece", "paragraphs")
    yield _cold(document, "without the fast extra: cold process", 1.5, plain)
    yield _slowest(document, plain, threads)
    yield from _single(document)
    yield from _whole_processes(document)
    yield from _tables(document)
    yield from _pooling(document["pooling"])


def _cold(document: Document, what: str, least: float, contender: str) -> Row:
    seconds = {name: found["seconds"]["median"] for name, found in document["cold"].items()}
    peer = min(document["peers"], key=lambda name: seconds.get(name, float("inf")))
    ratio = seconds[peer] / seconds[contender]
    count = document["texts"]["cold"]["texts"]
    figures = f"{seconds[contender]:.2f} s, {peer} {seconds[peer]:.2f} s"
    return Row(f"{what}, {count:,} texts", f">= {least:g}x", f"{ratio:.1f}x ({figures})", ratio >= least)


def _slowest(document: Document, contender: str, threads: int) -> Row:
    ratios: dict[str, float] = {}
    for result in document["warm"]:
        if (result["contender"], result["threads"]) == (contender, threads) and "texts_per_second" in result:
            _, theirs = best_peer(document, result["model"], result["texts"], threads)
            label = f"{result['texts']}, {result['model']}"
            ratios[label] = result["texts_per_second"]["median"] / theirs
    worst = min(ratios, key=lambda label: ratios[label])
    return Row(
        "without the fast extra: slowest of all text sets",
        ">= 1x",
        f"{ratios[worst]:.1f}x ({worst})",
        ratios[worst] >= 1,
    )


def _single(document: Document) -> Iterator[Row]:
    found = {
        result["contender"]: result["query_seconds"]["p50"]
        for result in document["warm"]
        if result["texts"] == "queries" and result["threads"] == document["threads"]
    }
    own, theirs = found["portvec float32"], found["model2vec"]
    yield _at_most("one query, p50", 1 / 4, own, theirs, lambda value: f"{value * 1e6:.0f} us")


def _whole_processes(document: Document) -> Iterator[Row]:
    def pair(section: str, own: str, value: str) -> tuple[float, float]:
        found = document[section]
        return found[own][value]["median"], found["model2vec"][value]["median"]

    own = "portvec float32"
    yield _at_most("start to first vector, whole process", 1 / 3, *pair("start", own, "seconds"), _seconds)
    yield _at_most("start to first vector, peak memory", 1 / 2, *pair("start", own, "peak_bytes"), _megabytes)
    opened = document["open"]["portvec"]
    rows_, dim = document["models"]["huge"]["rows"], document["models"]["huge"]["dim"]
    session, private = opened["session_seconds"]["median"], opened["session_private_bytes"]["median"]
    yield Row(
        f"open a {rows_:,} x {dim} float32 artifact (session)",
        "<= 10 ms, <= 10 MB private",
        f"{session * 1e3:.1f} ms, {private / 1e6:.1f} MB",
        session <= 0.010 and private <= 10e6,
    )
    yield _at_most("export, whole process", 1 / 8, *pair("export", "portvec", "seconds"), _seconds)
    peak, theirs = pair("export", "portvec", "peak_bytes")
    reached = f"{_megabytes(peak)} (model2vec {_megabytes(theirs)})"
    yield Row("export, peak memory", "<= 200 MB", reached, peak <= 200e6)


def _tables(document: Document) -> Iterator[Row]:
    tables = {row["dtype"]: row for row in document["quality"]}
    for dtype, least, most in (("int8", 0.9999, 0.26), ("int4", 0.99, 0.15)):
        row = tables[dtype]
        size = row["table_bytes"] / tables["float32"]["table_bytes"]
        yield Row(
            f"{dtype}: minimum cosine to float32 over {row['texts']:,} paragraphs; size",
            f">= {least}; <= {most:.0%}",
            f"{row['cosine_min']:.5f}; {size:.1%}",
            row["cosine_min"] >= least and size <= most,
        )


def _pooling(found: dict[str, float]) -> Iterator[Row]:
    read, copied = found["float32_table_bytes_per_second"], found["copied_bytes_per_second"]
    yield Row(
        "pooling alone, 1 thread, float32: table bytes read, relative to the bytes a memcpy copies",
        ">= 0.9x",
        f"{read / copied:.2f}x ({read / 1e9:.1f} GB/s, memcpy {copied / 1e9:.1f} GB/s)",
        read >= 0.9 * copied,
    )
    slow, fast = found["float32_tokens_per_second"], found["int8_tokens_per_second"]
    yield Row(
        "same, int8 relative to float32, tokens",
        ">= 1.7x",
        f"{fast / slow:.1f}x ({fast / 1e6:.1f} M/s, float32 {slow / 1e6:.1f} M/s)",
        fast >= 1.7 * slow,
    )


def _at_most(what: str, most: float, own: float, theirs: float, show: Callable[[float], str]) -> Row:
    """Return a row whose target is a fraction of model2vec's value."""
    reached = f"{own / theirs:.2f}x ({show(own)}, model2vec {show(theirs)})"
    return Row(what, f"<= {most:.2g}x", reached, own / theirs <= most)


def _seconds(value: float) -> str:
    return f"{value:.2f} s"


def _megabytes(value: float) -> str:
    return f"{value / 1e6:.0f} MB"
