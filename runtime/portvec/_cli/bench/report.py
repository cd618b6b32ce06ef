"""A measurement as text to read, and as a row of the table of devices in docs/performance.md."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from portvec._cli.bench.measure import is_comparable

DEVICE_COLUMNS = (
    "device",
    "cores, threads",
    "tokenizer",
    "table",
    "short",
    "medium",
    "long",
    "one query, p50 / p99",
    "load",
    "memory: loaded / peak",
    "versions",
)
_UNKNOWN = "not measured on this system"


def device_row(document: dict[str, Any]) -> str:
    """Return the Markdown row of a measurement; texts are in texts per second."""
    device, own = document["device"], document["implementations"]["portvec"]
    rates = own["texts_per_second"]
    packages = device["packages"]
    cells = [
        f"{device['board'] or device['cpu']}, {device['architecture']}",
        f"{device['cores_available']}, {document['threads']}",
        document["tokenizer"],
        _table(document),
        *(_rate(rates[name]["median"]) if name in rates else "" for name in ("short", "medium", "long")),
        f"{_time(own['query_seconds']['p50'])} / {_time(own['query_seconds']['p99'])}",
        _time(own["load_seconds"]),
        f"{_size(own['resident_bytes_after_load'])} / {_size(own['peak_bytes'])}",
        f"portvec {packages['portvec']}, onnxruntime {packages['onnxruntime']}, {device['python']}",
    ]
    return f"| {' | '.join(cells)} |"


def format_lines(document: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of a measurement for people."""
    device = document["device"]
    memory = device["memory_bytes"]
    known = [f"{device['cores_available']} cores", device["system"]]
    if memory:
        known.insert(1, f"{memory / 2**30:.1f} GiB")
    yield f"model      {document['model']}: {_table(document)}"
    yield "device     " + ", ".join(
        filter(None, [device["board"], device["cpu"], device["architecture"], *known])
    )
    packages = ", ".join(f"{name} {number}" for name, number in device["packages"].items())
    yield f"versions   {device['python']}, {packages}"
    yield f"in use     tokenizer {document['tokenizer']}, {document['threads']} threads"
    yield ""
    yield from _table_lines(document)
    yield ""
    for name, found in document["texts"].items():
        yield f"{name}: {found['texts']:,} texts of {found['words'] / found['texts']:.0f} words"
    for peer, implementation in document["implementations"].items():
        for name in document["texts"]:
            if not is_comparable(implementation, name):
                share = 1 - implementation["agreement"][name]
                yield f"{peer}: no ratio for {name}, its vectors differ for {share:.0%} of the texts"
    yield ""
    yield "a row for the table of devices in docs/performance.md:"
    yield device_row(document)


def _table_lines(document: dict[str, Any]) -> Iterator[str]:
    """Yield one line per measure, one column per implementation, and how many times better portvec is."""
    implementations = document["implementations"]
    own = implementations["portvec"]
    peers = {name: found for name, found in implementations.items() if name != "portvec"}
    yield (
        f"{'':<24}{'portvec':>12}"
        + ("" if peers else f"{'min - max':>20}")
        + "".join(f"{name:>12}{'ratio':>8}" for name in peers)
    )
    for name in document["texts"]:
        rate = own["texts_per_second"][name]
        line = f"{name + ', texts/s':<24}{_rate(rate['median']):>12}"
        if not peers:
            line += f"{_rate(rate['min']) + ' - ' + _rate(rate['max']):>20}"
        for found in peers.values():
            theirs = found["texts_per_second"][name]["median"]
            ratio = f"{rate['median'] / theirs:.1f}x" if is_comparable(found, name) else "-"
            line += f"{_rate(theirs):>12}{ratio:>8}"
        yield line
    measures = {
        "one query, p50": (("query_seconds", "p50"), _time),
        "one query, p99": (("query_seconds", "p99"), _time),
        "import": (("import_seconds",), _time),
        "load": (("load_seconds",), _time),
        "start to first vector": (("start_to_first_vector_seconds",), _time),
        "memory after load": (("resident_bytes_after_load",), _size),
        "peak memory": (("peak_bytes",), _size),
    }
    for label, (path, show) in measures.items():
        mine = _at(own, path)
        line = f"{label:<24}{show(mine):>12}" if mine is not None else f"{label:<24}{_UNKNOWN}"
        for found in peers.values() if mine is not None else ():
            line += f"{show(_at(found, path)):>12}{_at(found, path) / mine:>7.1f}x"
        yield line


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = value[name]
    return value


def _table(document: dict[str, Any]) -> str:
    return f"{document['vocabulary_size']:,} x {document['dim']} {document['dtype']}"


def _rate(texts_per_second: float) -> str:
    """Return a rate with the three digits that a repeat gives again."""
    return f"{float(f'{texts_per_second:.3g}'):,.0f}"


def _time(seconds: float) -> str:
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} us"
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.2f} s"


def _size(count: int | None) -> str:
    return "unknown" if count is None else f"{count / 1e6:.0f} MB"
