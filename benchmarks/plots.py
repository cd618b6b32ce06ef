"""Plots of a result, as SVG files, which stay sharp at any size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import StrMethodFormatter

from benchmarks.contenders import without_fast
from benchmarks.targets import FLOAT32, warm

_OWN, _BEST, _PEER = "#1f6fb2", "#707070", "#b0b0b0"

# What a reader who has not read the page calls the contenders.
_LABELS = {
    without_fast("float32"): "portvec, float32 table, without the fast extra",
    without_fast("int8"): "portvec, int8 table, without the fast extra",
    "model2vec ONNX": "model2vec's ONNX export, onnxruntime",
}


def write(document: dict[str, Any], folder: Path) -> dict[str, Path]:
    """Draw every plot into `folder`; return the files by the text that describes the plot."""
    folder.mkdir(parents=True, exist_ok=True)
    drawings = {
        "Paragraphs embedded per second, by implementation": ("throughput.svg", 4.0, _throughput),
        "Private memory of a process at its first vector, for a small and a large model": (
            "memory.svg",
            2.8,
            _memory,
        ),
    }
    # A salt instead of random ids, and no date: the same result gives the same file.
    style = {"svg.hashsalt": "portvec", "font.size": 9}
    paths = {}
    for title, (name, height, draw) in drawings.items():
        with mpl.rc_context(style):
            figure, axes = plt.subplots(figsize=(7.6, height), layout="constrained")
            draw(axes, document)
            axes.spines[["top", "right"]].set_visible(False)
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
            paths[title] = folder / name
            figure.savefig(paths[title], metadata={"Date": None})
            plt.close(figure)
    return paths


def _throughput(axes: Axes, document: dict[str, Any]) -> None:
    threads = document["threads"]
    names = dict.fromkeys(result["contender"] for result in document["warm"])
    found = {name: warm(document, name, "wordpiece", "paragraphs", threads) for name in names}
    spreads = sorted(
        ((name, spread) for name, spread in found.items() if spread), key=lambda pair: pair[1]["median"]
    )
    labels = [_label(name, document["device"]["packages"]) for name, _ in spreads]
    colors = [_OWN if name.startswith("portvec") else _PEER for name, _ in spreads]
    _bars(axes, range(len(spreads)), [spread for _, spread in spreads], colors)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel(
        f"English paragraphs per second, model loaded, {threads} threads; more is better\n"
        "bar: median of all passes, line: slowest to fastest pass"
    )


def _memory(axes: Axes, document: dict[str, Any]) -> None:
    models = ["huge", "wordpiece"]  # from the bottom to the top
    height = 0.26
    named = (("portvec", FLOAT32, _OWN), ("laghu", "laghu", _BEST), ("model2vec", "model2vec", _PEER))
    for place, (name, contender, color) in enumerate(named):
        found = {
            index: result["private_bytes"]
            for index, model in enumerate(models)
            for result in document["processes"]
            if (result["model"], result["texts"], result["contender"]) == (model, "first vector", contender)
            and "failed" not in result
        }
        spreads = [{key: spread[key] / 1e6 for key in ("median", "min", "max")} for spread in found.values()]
        positions = [index + (1 - place) * height for index in found]
        _bars(axes, positions, spreads, [color] * len(spreads), height=height, label=name)
    axes.set_yticks(range(len(models)), [_shape(document["models"][model]) for model in models])
    axes.set_xlabel("MB of private memory of a process at its first vector, all included; less is better")
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles, labels, frameon=False, loc="upper right")


def _bars(
    axes: Axes,
    positions: Sequence[float],
    spreads: Sequence[Mapping[str, float]],
    colors: Sequence[str],
    **options: Any,
) -> None:
    """Draw horizontal bars of medians, each with a line from the minimum to the maximum."""
    medians = [spread["median"] for spread in spreads]
    below = [spread["median"] - spread["min"] for spread in spreads]
    above = [spread["max"] - spread["median"] for spread in spreads]
    axes.barh(
        positions,
        medians,
        color=colors,
        xerr=[below, above],
        error_kw={"ecolor": "#404040", "elinewidth": 1, "capsize": 2},
        **options,
    )
    for position, spread in zip(positions, spreads, strict=True):
        rounded = float(f"{spread['median']:.3g}")  # as many digits as the tables have
        axes.annotate(
            f"{rounded:,.0f}",
            (spread["max"], position),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
        )
    axes.margins(x=0.12)


def _label(contender: str, packages: Mapping[str, str]) -> str:
    if contender in _LABELS:
        return _LABELS[contender]
    if contender.startswith("portvec "):
        return f"portvec, {contender.removeprefix('portvec ')} table"
    return f"{contender} {packages[contender]}"


def _shape(shape: Mapping[str, int]) -> str:
    size = shape["rows"] * shape["dim"] * 4 / 1e6
    return f"{shape['rows']:,} tokens,\n{size:,.0f} MB of float32"
