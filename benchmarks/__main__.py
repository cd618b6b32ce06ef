"""Run every measurement; write the result, the plots and docs/performance.md."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date
from fnmatch import fnmatch
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

from safetensors import safe_open

from benchmarks import document, models, plots, pooling, quality, targets, texts, warm
from benchmarks.contenders import PEERS, QUICKEST_PEERS, Contender, peer, portvec
from benchmarks.sizes import FULL, QUICK, Sizes
from benchmarks.timing import in_turns, once, one_call, opened, process
from portvec._artifact.dtypes import DTYPES
from portvec._cli.bench.device import describe

RESULTS = Path(__file__).with_name("results")
PAGE = models.ROOT / "docs" / "performance.md"
IMAGES = models.ROOT / "docs" / "images"
TRIED = models.FOLDER / "quick"

# A WordPiece model, Unigram models of 30,000 and 500,000 pieces, and a byte-level BPE model.
KINDS = ("wordpiece", "unigram", "huge", "bpe")
_THREADS = 2
_PACKAGES = (
    *("portvec", "onnxruntime", "numpy", "tokenizers", "nanotoken", "torch"),
    *("model2vec", "laghu", "laghu-rs", "fastembed", "sentence-transformers"),
)

# Results of one kind, by the section of the document that they belong to.
Found = dict[str, list[dict[str, Any]]]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few texts: shows only that everything runs")
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="PATTERN",
        default=["*"],
        help="measure only these, such as 'start/*' or 'cold/huge/*', and keep nothing; 'list' lists all",
    )
    arguments = parser.parse_args()
    sizes = QUICK if arguments.quick else FULL
    if arguments.only == ["list"]:
        print("\n".join(_measurements(sizes)))
        return
    kept = not arguments.quick and arguments.only == ["*"]
    found = run(sizes, arguments.only)
    folder, images = (RESULTS, IMAGES) if kept else (TRIED, TRIED)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{found['date']}.json"
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    drawn = plots.write(found, images) if arguments.only == ["*"] else {}
    if kept:
        relative = {title: image.relative_to(PAGE.parent).as_posix() for title, image in drawn.items()}
        document.write(PAGE, found, relative)
    print("\n".join(document.lines(found, {title: image.name for title, image in drawn.items()})))
    print(f"{path}: written", file=sys.stderr)


def run(sizes: Sizes, patterns: Sequence[str] = ("*",)) -> dict[str, Any]:
    """Return the results of the measurements whose names match a pattern, as JSON values."""
    for name in (*KINDS, "unlimited"):
        _say(f"making the model {name}, if it is not there")
        models.artifact(name)
    sets = _sets(sizes)
    started = time.perf_counter()
    result: dict[str, Any] = {
        "date": date.today().isoformat(),
        "quick": sizes is QUICK,
        "device": describe(_PACKAGES),
        "threads": _THREADS,
        "peers": PEERS,
        "texts": {
            name: {"texts": len(found), "words": sum(len(text.split()) for text in found)}
            for name, found in sets.items()
        },
        "corpora": texts.CORPORA.is_dir(),
        "models": {name: _shape(name) for name in KINDS},
    }
    for name, measure in _measurements(sizes).items():
        if any(fnmatch(name, pattern) for pattern in patterns):
            _say(name)
            for section, found in measure().items():
                result.setdefault(section, []).extend(found)
    result["minutes"] = round((time.perf_counter() - started) / 60, 1)
    result["targets"] = [vars(row) for row in targets.rows(result)]
    return result


@cache
def _sets(sizes: Sizes) -> dict[str, list[str]]:
    return {
        "sentences": texts.sentences(sizes.sentences),
        "paragraphs": texts.paragraphs(sizes.paragraphs),
        "languages": texts.languages(sizes.languages),
        "documents": texts.documents(sizes.documents),
        "cold paragraphs": texts.paragraphs(sizes.cold),
        "cold languages": texts.languages(sizes.cold_languages),
    }


def _measurements(sizes: Sizes) -> dict[str, Callable[[], Found]]:
    """Return every measurement by its name, in the order in which they run."""
    found: dict[str, Callable[[], Found]] = {}
    for model, names, threads in _WARM:
        found[f"warm/{model}/{threads}"] = partial(_warm, sizes, model, names, threads)
    for kind in KINDS:
        found[f"queries/{kind}"] = partial(_queries, sizes, kind)
    for kind in KINDS:
        found[f"start/{kind}"] = partial(_start, sizes, kind)
    for kind in KINDS:
        for name in ("paragraphs", "languages"):
            found[f"cold/{kind}/{name}"] = partial(_cold, sizes, kind, name)
    found["export/wordpiece"] = partial(_export, sizes)
    found["export/huge"] = partial(_export_huge, sizes)
    found["open/huge"] = partial(_opened, sizes)
    found["scaling"] = partial(_scaling, sizes)
    found["quality"] = lambda: {"quality": quality.measure(sizes.quality)}
    found["pooling"] = lambda: {"pooling": [pooling.measure(sizes.paragraphs, sizes.rounds + 2)]}
    return found


_WARM = (
    ("wordpiece", ("sentences", "paragraphs", "languages"), _THREADS),
    ("wordpiece", ("paragraphs",), 1),
    ("unlimited", ("documents",), _THREADS),
    ("unigram", ("paragraphs", "languages"), _THREADS),
    ("huge", ("paragraphs", "languages"), _THREADS),
    ("bpe", ("paragraphs", "languages"), _THREADS),
)


def _peers(model: str, names: Sequence[str]) -> list[Contender]:
    # The others would hold several copies of the table of 512 MB, and take minutes.
    return [peer(name, model) for name in names if model != "huge" or name in QUICKEST_PEERS]


def _own(model: str) -> list[Contender]:
    found = [portvec(model)]
    if model == "wordpiece":  # the only kind that the extra is for
        found += [portvec(model, "int8"), portvec(model, fast=False)]
    return found


def _warm(sizes: Sizes, model: str, names: Sequence[str], threads: int) -> Found:
    sets = _sets(sizes)
    if model == "wordpiece":
        own = [*(portvec(model, dtype) for dtype in DTYPES)]
        own += [portvec(model, dtype, fast=False) for dtype in ("float32", "int8")]
    else:
        own = [portvec(model), portvec(model, fast=False)]
    measured = warm.throughput(
        own + _peers(model, PEERS),
        {name: sets[name] for name in names},
        threads,
        rounds=sizes.rounds if model == "wordpiece" else sizes.slow_rounds,
        seconds=sizes.seconds,
    )
    return {"warm": [{"model": model, **found} for found in measured]}


def _queries(sizes: Sizes, kind: str) -> Found:
    contenders = _own(kind) + _peers(kind, _without_torch(kind))
    measured = warm.queries(contenders, _THREADS, rounds=sizes.slow_rounds, seconds=sizes.query_seconds)
    return {"queries": [{"model": kind, **found} for found in measured]}


def _start(sizes: Sizes, kind: str) -> Found:
    rounds = sizes.slow_rounds if kind == "huge" else sizes.rounds
    return _processes(kind, "first vector", ["the first vector"], _peers(kind, _without_torch(kind)), rounds)


def _cold(sizes: Sizes, kind: str, name: str) -> Found:
    peers = PEERS if (kind, name) == ("wordpiece", "paragraphs") else QUICKEST_PEERS
    return _processes(kind, name, _sets(sizes)[f"cold {name}"], _peers(kind, peers), sizes.slow_rounds)


def _without_torch(kind: str) -> Sequence[str]:
    # Importing PyTorch takes seconds: once shows it.
    return PEERS if kind == "wordpiece" else [name for name in PEERS if name != "sentence-transformers"]


def _processes(kind: str, name: str, found: Sequence[str], peers: Sequence[Contender], rounds: int) -> Found:
    calls = {c.name: partial(once, c, found, _THREADS) for c in [*_own(kind), *peers]}
    return {
        "processes": [
            {"model": kind, "texts": name, "contender": contender, **values}
            for contender, values in in_turns(calls, rounds).items()
        ]
    }


def _export(sizes: Sizes) -> Found:
    source, target = models.BUNDLED, models.FOLDER / "exported"
    commands = {
        "portvec": [*models.export_command(source, target / "portvec"), "--overwrite"],
        "model2vec": models.onnx_command(source, target / "model2vec"),
    }
    return _exports("wordpiece", commands, sizes.slow_rounds)


def _export_huge(sizes: Sizes) -> Found:
    target = models.FOLDER / "exported" / "huge"
    command = [*models.export_command(models.source("huge"), target), "--overwrite"]
    return _exports("huge", {"portvec": command}, sizes.slow_rounds)


def _exports(model: str, commands: dict[str, list[str]], rounds: int) -> Found:
    calls = {name: partial(process, command) for name, command in commands.items()}
    found = in_turns(calls, rounds).items()
    return {"export": [{"model": model, "contender": name, **values} for name, values in found]}


def _opened(sizes: Sizes) -> Found:
    return {"open": list(in_turns({"": partial(opened, models.artifact("huge"))}, sizes.rounds).values())}


def _scaling(sizes: Sizes) -> Found:
    rows = []
    for contender in (portvec("wordpiece"), *_peers("wordpiece", QUICKEST_PEERS)):
        for count in sizes.scaling:
            measured = one_call(contender, list(islice(texts.many(count), count)), _THREADS)
            rows.append({"contender": contender.name, "count": count, **measured})
    return {"scaling": rows}


def _shape(name: str) -> dict[str, int]:
    with safe_open(models.source(name) / "model.safetensors", framework="numpy") as tensors:
        rows, dim = tensors.get_slice("embeddings").get_shape()
    return {"rows": rows, "dim": dim}


def _say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
