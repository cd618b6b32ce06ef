"""Plots of a result, as small PNG files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from benchmarks.targets import warm

_OWN, _PEER = "#1f6fb2", "#b0b0b0"


def write(document: dict[str, Any], folder: Path) -> dict[str, Path]:
    """Draw every plot into `folder`; return the files by title."""
    folder.mkdir(parents=True, exist_ok=True)
    drawings = {
        "Throughput by peer": ("throughput.png", _throughput),
        "Memory by table size": ("memory.png", _memory),
        "Size against quality": ("quality.png", _quality),
    }
    paths = {}
    for title, (name, draw) in drawings.items():
        figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
        draw(axes, document)
        axes.spines[["top", "right"]].set_visible(False)
        paths[title] = folder / name
        figure.savefig(paths[title], dpi=100)
        plt.close(figure)
    return paths


def _throughput(axes: Axes, document: dict[str, Any]) -> None:
    threads = document["threads"]
    names = dict.fromkeys(result["contender"] for result in document["warm"])
    found = {name: warm(document, name, "wordpiece", "paragraphs", threads) for name in names}
    rates = sorted(((spread["median"], name) for name, spread in found.items() if spread))
    labels = [name for _, name in rates]
    values = [rate for rate, _ in rates]
    colors = [_OWN if name.startswith("portvec") else _PEER for name in labels]
    bars = axes.barh(labels, values, color=colors)
    axes.bar_label(bars, [f"{value:,.0f}" for value in values], padding=3)
    axes.margins(x=0.15)
    axes.set_xlabel(f"paragraphs per second, {threads} threads")


def _memory(axes: Axes, document: dict[str, Any]) -> None:
    for name, color in (("portvec", _OWN), ("model2vec", _PEER)):
        points = sorted(
            (document["models"][model]["rows"] * document["models"][model]["dim"] * 4 / 1e6, value)
            for model, opened in document["open_by_model"].items()
            for value in [opened[name]["all_private_bytes"]["median"] / 1e6]
        )
        axes.plot(*zip(*points, strict=True), "o-", color=color, label=name)
    axes.set_xlabel("table, MB of float32")
    axes.set_ylabel("private memory of an open model, MB")
    axes.legend(frameon=False)


def _quality(axes: Axes, document: dict[str, Any]) -> None:
    rows = document["quality"]
    sizes = [row["table_bytes"] / 1e6 for row in rows]
    losses = [max(1 - row["cosine_min"], 1e-8) for row in rows]
    axes.plot(sizes, losses, "o", color=_OWN)
    for row, size, loss in zip(rows, sizes, losses, strict=True):
        axes.annotate(row["dtype"], (size, loss), xytext=(6, 4), textcoords="offset points")
    axes.set_yscale("log")
    axes.margins(x=0.15, y=0.15)
    axes.set_xlabel("table, MB")
    axes.set_ylabel("1 - least cosine to float32")
