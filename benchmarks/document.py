"""Write a result as Markdown between the markers in docs/performance.md."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap
from typing import Any

from benchmarks.targets import LEAST_AGREEMENT, NAMES, fell_back, label, rows

BEGIN = "<!-- written by make bench: begin -->"
END = "<!-- written by make bench: end -->"

# Columns of a model's table: the texts, the value, its scale and its unit.
_COLUMNS = {
    "start to first vector": ("first vector", "seconds", 1, "s"),
    "private memory then": ("first vector", "private_bytes", 1e-6, "MB"),
    "one query, known words": ("known words", "query_seconds", 1e6, "us"),
    "with a new word": ("a new word", "query_seconds", 1e6, "us"),
    "paragraphs, cold": ("paragraphs", "seconds", 1, "s"),
    "private memory after them": ("paragraphs", "private_bytes", 1e-6, "MB"),
    "lines in many languages, cold": ("languages", "seconds", 1, "s"),
    "memory after these": ("languages", "private_bytes", 1e-6, "MB"),
}


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
    machine = (
        f"Run on {document['date']}: {device['cpu']}, {device['architecture']}, "
        f"{device['cores_available']} cores, {memory}, {device['system']}; {device['python']}; {packages}."
    )
    yield from wrap(machine, 120, break_on_hyphens=False)
    yield ""
    yield "| what | target | reached | |"
    yield "|---|---|---|---|"
    for row in rows(document):
        yield f"| {row.what} | {row.target} | {row.reached} | {'met' if row.met else '**missed**'} |"
    yield ""
    for threads in sorted({result["threads"] for result in document.get("warm", [])}, reverse=True):
        yield from _throughput(document, threads)
    yield from _processes(document)
    yield from _failures(document)
    yield from _scaling(document)
    for title, path in plots.items():
        yield f"![{title}]({path})"
        yield ""


def _throughput(document: dict[str, Any], threads: int) -> Iterator[str]:
    results = [r for r in document["warm"] if r["threads"] == threads]
    columns = list(dict.fromkeys((result["model"], result["texts"]) for result in results))
    names = {model: f", {name}" for model, name in NAMES.items() if model != "wordpiece"}
    heads = [f"{texts}{names.get(model, '')}" for model, texts in columns]
    unit = "thread" if threads == 1 else "threads"
    yield f"Texts per second, warm, {threads} {unit}: median (minimum - maximum)."
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
    if "failed" in result:
        return "failed"
    rate = result["texts_per_second"]
    cell = f"{_round(rate['median'])} ({_round(rate['min'])} - {_round(rate['max'])})"
    if result["agreement"] < LEAST_AGREEMENT:
        return f"other vectors: {1 - result['agreement']:.0%}"
    return f"falls back: {cell}" if fell_back(result) else cell


def _round(value: float) -> str:
    return f"{float(f'{value:.3g}'):,.0f}"


def _processes(document: dict[str, Any]) -> Iterator[str]:
    for model, name in NAMES.items():
        rows = {
            contender: [_value(document, model, contender, *column) for column in _COLUMNS.values()]
            for contender in _contenders(document, model)
        }
        used = [index for index in range(len(_COLUMNS)) if any(cells[index] for cells in rows.values())]
        if not used:
            continue
        heads = [list(_COLUMNS)[index] for index in used]
        yield f"{name}: whole processes, and one query when warm. Medians."
        yield ""
        yield f"| | {' | '.join(heads)} |"
        yield "|---|" + "--:|" * len(heads)
        for contender, cells in rows.items():
            values = " | ".join(cells[index] for index in used)
            yield f"| {label(document, contender, model)} | {values} |"
        yield ""


def _contenders(document: dict[str, Any], model: str) -> Iterator[str]:
    results = [*document.get("processes", []), *document.get("queries", [])]
    return iter(dict.fromkeys(result["contender"] for result in results if result["model"] == model))


def _value(
    document: dict[str, Any], model: str, contender: str, texts: str, value: str, scale: float, unit: str
) -> str:
    """Return a cell: the median or the p50 of a value."""
    for result in [*document.get("processes", []), *document.get("queries", [])]:
        if (result["model"], result["texts"], result["contender"]) == (model, texts, contender):
            if "failed" in result:
                return "failed"
            if value in result:
                spread = result[value]
                digits = 2 if unit == "s" else 0
                return (
                    f"{(spread['p50'] if 'p50' in spread else spread['median']) * scale:,.{digits}f} {unit}"
                )
    return ""


def _failures(document: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each peer and model that failed."""
    failed = {
        (result["contender"], result["model"]): result["failed"]
        for section in ("warm", "queries", "processes", "export")
        for result in document.get(section, [])
        if "failed" in result
    }
    for (contender, model), why in failed.items():
        yield f"{contender} failed on the model {model}: {why}."
        yield ""


def _scaling(document: dict[str, Any]) -> Iterator[str]:
    if "scaling" not in document:
        return
    yield "One call with N texts of 12 words: time per text, and memory beyond the texts and vectors."
    yield ""
    yield "| | N | time per text | memory |"
    yield "|---|--:|--:|--:|"
    for row in document["scaling"]:
        per_text = row["seconds"] / row["count"] * 1e6
        memory = row["working_bytes"] / 1e6
        yield f"| {row['contender']} | {row['count']:,} | {per_text:.1f} us | {memory:,.0f} MB |"
    yield ""
