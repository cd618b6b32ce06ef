"""The table of targets, computed from a result: the target, and what was reached.

Ratios are formed with the best peer of a row: the one with the best value among those that did the same work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.contenders import REFERENCE, without_fast

# A peer that agrees on a smaller share of the texts does different work: it is left out of every ratio.
LEAST_AGREEMENT = 0.95

# What a reader who has not read the page calls the models.
NAMES = {"wordpiece": "WordPiece", "unigram": "Unigram", "huge": "Unigram 500k", "bpe": "byte-level BPE"}

FLOAT32, INT8, WITHOUT_FAST = "portvec float32", "portvec int8", without_fast("float32")

Document = dict[str, Any]
Values = dict[str, float]


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


def warm(document: Document, contender: str, model: str, texts: str, threads: int) -> Values | None:
    """Return the spread of texts per second of a contender, or None if it did not do the same work."""
    for result in _results(document, "warm", model=model, texts=texts, threads=threads, contender=contender):
        if result["agreement"] >= LEAST_AGREEMENT:
            spread: Values = result["texts_per_second"]
            return spread
    return None


def label(document: Document, contender: str, model: str) -> str:
    """Return a contender's name, with a remark if it fell back to `tokenizers` on that model."""
    for section in ("warm", "queries", "processes"):
        for result in _results(document, section, contender=contender, model=model):
            if fell_back(result):
                return f"{contender} (falls back to tokenizers)"
    return contender


def fell_back(result: Mapping[str, Any]) -> bool:
    """Return whether a result is laghu's without laghu-rs, which does not tokenize every model."""
    return bool(result["contender"] == "laghu" and result["tokenizer"] == "tokenizers")


def rows(document: Document) -> Iterator[Row]:
    """Yield every target whose measurement the document has."""
    yield from _warm_rows(document)
    yield from _start_rows(document)
    yield from _query_rows(document)
    yield from _cold_rows(document)
    yield from _never_slower(document)
    yield from _opening(document)
    yield from _exports(document)
    yield from _tables(document)
    yield from _pooling(document)


def _results(document: Document, section: str, **wanted: Any) -> Iterator[dict[str, Any]]:
    """Yield the results of a section that have the wanted values and did not fail."""
    for result in document.get(section, []):
        if "failed" not in result and all(result[key] == value for key, value in wanted.items()):
            yield result


def _values(
    document: Document, section: str, value: Callable[[dict[str, Any]], float], **wanted: Any
) -> Values:
    """Return a value of each contender that did the same work."""
    return {
        result["contender"]: value(result)
        for result in _results(document, section, **wanted)
        if _did_the_same(document, result)
    }


def _did_the_same(document: Document, result: Mapping[str, Any]) -> bool:
    """Return whether a contender gave model2vec's vectors: for these texts, else for the first compared."""
    compared = list(_results(document, "warm", contender=result["contender"], model=result["model"]))
    there = [found for found in compared if found["texts"] == result["texts"]]
    return all(found["agreement"] >= LEAST_AGREEMENT for found in there or compared[:1])


def _speeds(document: Document, model: str, texts: str, threads: int) -> Values:
    return _values(
        document,
        "warm",
        lambda result: float(result["texts_per_second"]["median"]),
        model=model,
        texts=texts,
        threads=threads,
    )


def _queries(document: Document, model: str, texts: str) -> Values:
    return _values(document, "queries", lambda r: float(r["query_seconds"]["p50"]), model=model, texts=texts)


def _processes(document: Document, model: str, texts: str, value: str) -> Values:
    return _values(document, "processes", lambda r: float(r[value]["median"]), model=model, texts=texts)


def _warm_rows(document: Document) -> Iterator[Row]:
    threads = document["threads"]

    def row(what: str, least: float, model: str, texts: str, own: str = FLOAT32) -> Iterator[Row]:
        found = _speeds(document, model, texts, threads)
        yield from _at_least(document, what, least, found, own, model)

    yield from row(f"paragraphs, warm, {threads} threads, WordPiece, float32", 2, "wordpiece", "paragraphs")
    yield from row("same, int8", 3, "wordpiece", "paragraphs", INT8)
    yield from row("same, float32, without the fast extra", 1, "wordpiece", "paragraphs", WITHOUT_FAST)
    yield from row("many languages, warm, WordPiece", 2, "wordpiece", "languages")
    yield from row("paragraphs, warm, Unigram", 5, "unigram", "paragraphs")
    yield from row("paragraphs, warm, byte-level BPE", 5, "bpe", "paragraphs")


def _start_rows(document: Document) -> Iterator[Row]:
    for model in ("wordpiece", "unigram", "huge"):
        what = f"start to first vector, {NAMES[model]}"
        times = _processes(document, model, "first vector", "seconds")
        yield from _at_most(document, f"{what}, whole process", 0.7, times, model, _seconds)
        memory = _processes(document, model, "first vector", "private_bytes")
        yield from _at_most(document, f"{what}, private memory", 1, memory, model, _megabytes)


def _query_rows(document: Document) -> Iterator[Row]:
    for model, most in (("wordpiece", 1.0), ("unigram", 0.6), ("huge", 0.6)):
        found = _queries(document, model, "known words")
        what = f"one query of known words, p50, {NAMES[model]}"
        yield from _at_most(document, what, most, found, model, _microseconds)
        found = _queries(document, model, "a new word")
        what = f"one query with a new word, p50, {NAMES[model]}"
        yield from _at_most(document, what, 1.0, found, model, _microseconds)


def _cold_rows(document: Document) -> Iterator[Row]:
    limits = {
        "paragraphs": {"wordpiece": 0.7, "unigram": 0.5, "huge": 0.5, "bpe": 0.5},
        "languages": {"wordpiece": 0.9, "unigram": 0.8, "huge": 0.8, "bpe": 0.9},
    }
    for texts, by_model in limits.items():
        for model, most in by_model.items():
            found = _processes(document, model, texts, "seconds")
            what = f"{_count(document, texts)}, cold process, {NAMES[model]}"
            yield from _at_most(document, what, most, found, model, _seconds)
    memory = _processes(document, "huge", "paragraphs", "private_bytes")
    what = f"private memory after {_count(document, 'paragraphs')}, {NAMES['huge']}"
    yield from _at_most(document, what, 1.3, memory, "huge", _megabytes)


def _count(document: Document, texts: str) -> str:
    name = {"paragraphs": "paragraphs", "languages": "lines in many languages"}[texts]
    return f"{document['texts'][f'cold {texts}']['texts']:,} {name}"


def _never_slower(document: Document) -> Iterator[Row]:
    """Yield the worst ratio to model2vec's speed, of all models and texts, warm or cold."""
    ratios: dict[str, dict[str, float]] = {"with": {}, "without": {}}

    def add(what: str, found: Values, ratio: Callable[[float, float], float]) -> None:
        for contender, own in found.items():
            if contender.startswith("portvec") and REFERENCE in found:
                extra = "without" if contender.endswith("without fast") else "with"
                ratios[extra][f"{what}, {contender}"] = ratio(own, found[REFERENCE])

    for model, texts, threads in _sets(document, "warm", "model", "texts", "threads"):
        found = _speeds(document, model, texts, threads)
        add(f"{texts}, warm, {model}, threads {threads}", found, lambda own, theirs: own / theirs)
    for model, texts in _sets(document, "queries", "model", "texts"):
        found = _queries(document, model, texts)
        add(f"one query, {texts}, {model}", found, lambda own, theirs: theirs / own)
    for model, texts in _sets(document, "processes", "model", "texts"):
        found = _processes(document, model, texts, "seconds")
        add(f"{texts}, whole process, {model}", found, lambda own, theirs: theirs / own)
    for extra, found in ratios.items():
        if found:
            worst = min(found, key=lambda what: found[what])
            yield Row(
                f"{extra} the fast extra: lowest speed of all, relative to model2vec's",
                ">= 1x",
                f"{found[worst]:.2f}x ({worst})",
                found[worst] >= 1,
            )


def _sets(document: Document, section: str, *keys: str) -> Iterator[tuple[Any, ...]]:
    """Return the distinct values of some keys in the order in which they were measured."""
    return iter(dict.fromkeys(tuple(result[key] for key in keys) for result in document.get(section, [])))


def _opening(document: Document) -> Iterator[Row]:
    for opened in document.get("open", []):
        rows_, dim = document["models"]["huge"]["rows"], document["models"]["huge"]["dim"]
        session, private = opened["session_seconds"]["median"], opened["session_private_bytes"]["median"]
        yield Row(
            f"open a {rows_:,} x {dim} float32 artifact (session)",
            "<= 10 ms, <= 10 MB private",
            f"{session * 1e3:.1f} ms, {private / 1e6:.1f} MB",
            session <= 0.010 and private <= 10e6,
        )


def _exports(document: Document) -> Iterator[Row]:
    def values(model: str, value: str) -> Values:
        found = _results(document, "export", model=model)
        return {result["contender"]: result[value]["median"] for result in found}

    def shown(model: str, value: str, show: Callable[[float], str], most: float, what: str) -> Iterator[Row]:
        found = values(model, value)
        if "portvec" in found:
            theirs = f" (model2vec {show(found[REFERENCE])})" if REFERENCE in found else ""
            own = found["portvec"]
            yield Row(what, f"<= {show(most)}", show(own) + theirs, own <= most)

    times = values("wordpiece", "seconds")
    yield from _at_most(document, "export, whole process", 1 / 8, times, "wordpiece", _seconds, own="portvec")
    yield from shown("wordpiece", "peak_bytes", _megabytes, 200e6, "export, peak memory")
    what = f"export, {NAMES['huge']}"
    yield from shown("huge", "seconds", _seconds, 15, f"{what}, whole process")
    yield from shown("huge", "peak_bytes", _megabytes, 700e6, f"{what}, peak memory")


def _tables(document: Document) -> Iterator[Row]:
    tables = {row["dtype"]: row for row in document.get("quality", [])}
    if not tables:
        return
    for dtype, least, most in (("int8", 0.9999, 0.26), ("int4", 0.99, 0.15)):
        row = tables[dtype]
        size = row["table_bytes"] / tables["float32"]["table_bytes"]
        yield Row(
            f"{dtype}: minimum cosine to float32 over {row['texts']:,} paragraphs; size",
            f">= {least}; <= {most:.0%}",
            f"{row['cosine_min']:.5f}; {size:.1%}",
            row["cosine_min"] >= least and size <= most,
        )


def _pooling(document: Document) -> Iterator[Row]:
    for found in document.get("pooling", []):
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


def _at_least(
    document: Document, what: str, least: float, found: Values, own: str, model: str
) -> Iterator[Row]:
    """Yield a row whose target is a multiple of the highest value of a peer."""
    if own in found and (peers := _peers(document, found)):
        best = max(peers, key=lambda name: peers[name])
        figures = _figures(document, found, own, best, model, lambda value: f"{value:,.0f}")
        ratio = found[own] / found[best]
        yield Row(what, f">= {least:g}x", f"{ratio:.1f}x (texts/s: {figures})", ratio >= least)


def _at_most(
    document: Document,
    what: str,
    most: float,
    found: Values,
    model: str,
    show: Callable[[float], str],
    own: str = FLOAT32,
) -> Iterator[Row]:
    """Yield a row whose target is a fraction of the lowest value of a peer."""
    if own in found and (peers := _peers(document, found)):
        best = min(peers, key=lambda name: peers[name])
        ratio = found[own] / found[best]
        figures = _figures(document, found, own, best, model, show)
        yield Row(what, f"<= {most:.2g}x", f"{ratio:.2f}x ({figures})", ratio <= most)


def _peers(document: Document, found: Values) -> Values:
    return {name: value for name, value in found.items() if name in document["peers"]}


def _figures(
    document: Document, found: Values, own: str, best: str, model: str, show: Callable[[float], str]
) -> str:
    """Return the value behind a ratio, the best peer's, and those of laghu and model2vec."""
    named = [name for name in dict.fromkeys((best, "laghu", REFERENCE)) if name in found]
    return ", ".join(
        [show(found[own]), *(f"{label(document, name, model)} {show(found[name])}" for name in named)]
    )


def _seconds(value: float) -> str:
    return f"{value:.2f} s"


def _microseconds(value: float) -> str:
    return f"{value * 1e6:.0f} us"


def _megabytes(value: float) -> str:
    return f"{value / 1e6:.0f} MB"
