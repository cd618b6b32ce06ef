"""Write a result as Markdown between the markers in docs/performance.md."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.targets import LEAST_AGREEMENT, rows

BEGIN = "<!-- written by make bench: begin -->"
END = "<!-- written by make bench: end -->"


def write(path: Path, document: dict[str, Any], plots: dict[str, str]) -> None:
    """Replace the text between the markers of a Markdown file.

    Raises:
        ValueError: the file lacks one of the markers.
    """
    text = path.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path}: lacks the lines {BEGIN} and {END}")
    body = "\n".join(lines(document, plots))
    path.write_text(f"{before}{BEGIN}\n{body}\n{END}{after}", encoding="utf-8", newline="\n")


def lines(document: dict[str, Any], plots: dict[str, str]) -> Iterator[str]:
    """Yield the lines: machine, targets, throughput, whole processes, scaling, plots (path by title)."""
    device = document["device"]
    packages = ", ".join(f"{name} {number}" for name, number in device["packages"].items())
    memory = f"{device['memory_bytes'] / 2**30:.0f} GiB"
    yield f"Run on {document['date']}: {device['cpu']}, {device['architecture']},"
    yield f"{device['cores_available']} cores, {memory}, {device['system']}; {device['python']};"
    yield f"{packages}."
    yield ""
    yield "| what | target | reached | |"
    yield "|---|---|---|---|"
    for row in rows(document):
        yield f"| {row.what} | {row.target} | {row.reached} | {'met' if row.met else '**missed**'} |"
    yield ""
    for threads in sorted({result["threads"] for result in document["warm"]}, reverse=True):
        yield from _throughput(document, threads)
    yield from _processes(document)
    yield from _scaling(document)
    for title, path in plots.items():
        yield f"![{title}]({path})"
        yield ""


def _throughput(document: dict[str, Any], threads: int) -> Iterator[str]:
    results = [r for r in document["warm"] if r["threads"] == threads and "texts_per_second" in r]
    columns = list(dict.fromkeys((result["model"], result["texts"]) for result in results))
    names = {"wordpiece": "", "unlimited": ""}
    heads = [f"{texts}{names.get(model, f', {model}')}" for model, texts in columns]
    label = "thread" if threads == 1 else "threads"
    yield f"Texts per second, warm, {threads} {label}: median (minimum - maximum)."
    yield ""
    yield f"| | {' | '.join(heads)} |"
    yield "|---|" + "--:|" * len(columns)
    for contender in dict.fromkeys(result["contender"] for result in results):
        cells = []
        for column in columns:
            found = [r for r in results if (r["model"], r["texts"]) == column and r["contender"] == contender]
            cells.append(_cell(found[0]) if found else "")
        yield f"| {contender} | {' | '.join(cells)} |"
    yield ""


def _cell(result: dict[str, Any]) -> str:
    rate = result["texts_per_second"]
    cell = f"{_round(rate['median'])} ({_round(rate['min'])} - {_round(rate['max'])})"
    if result["agreement"] < LEAST_AGREEMENT:
        return f"other vectors: {1 - result['agreement']:.0%}"
    return cell


def _round(value: float) -> str:
    return f"{float(f'{value:.3g}'):,.0f}"


def _processes(document: dict[str, Any]) -> Iterator[str]:
    queries = {
        result["contender"]: result["query_seconds"]["p50"]
        for result in document["warm"]
        if "query_seconds" in result and result["threads"] == document["threads"]
    }
    count = document["texts"]["cold"]["texts"]
    yield f"Whole processes that embed {count:,} paragraphs or one text; one query when warm. Medians."
    yield ""
    yield f"| | {count:,} paragraphs, cold | start to first vector | its peak memory | one query, warm |"
    yield "|---|--:|--:|--:|--:|"
    for contender, cold in document["cold"].items():
        start = document["start"][contender]
        query = f"{queries[contender] * 1e6:.0f} us" if contender in queries else ""
        cells = [
            f"{cold['seconds']['median']:.2f} s",
            f"{start['seconds']['median']:.2f} s",
            f"{start['peak_bytes']['median'] / 1e6:.0f} MB",
            query,
        ]
        yield f"| {contender} | {' | '.join(cells)} |"
    yield ""


def _scaling(document: dict[str, Any]) -> Iterator[str]:
    yield "One call with N texts of 12 words: time per text, and memory beyond the texts and vectors."
    yield ""
    yield "| | N | time per text | memory |"
    yield "|---|--:|--:|--:|"
    for row in document["scaling"]:
        per_text = row["seconds"] / row["count"] * 1e6
        memory = row["working_bytes"] / 1e6
        yield f"| {row['contender']} | {row['count']:,} | {per_text:.1f} us | {memory:,.0f} MB |"
    yield ""
