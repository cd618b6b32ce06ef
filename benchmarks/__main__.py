"""Run every measurement; write the result, the plots and docs/performance.md."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from datetime import date
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from safetensors import safe_open

from benchmarks import document, models, plots, pooling, quality, targets, texts, warm
from benchmarks.contenders import PEERS, REFERENCE, Contender, peer, portvec
from benchmarks.sizes import FULL, QUICK, Sizes
from benchmarks.timing import in_turns, once, opened, process
from portvec._artifact.dtypes import DTYPES
from portvec._cli.bench.device import describe

RESULTS = Path(__file__).with_name("results")
PAGE = models.ROOT / "docs" / "performance.md"
IMAGES = models.ROOT / "docs" / "images"
QUICK_FOLDER = models.FOLDER / "quick"
_PACKAGES = ("portvec", "onnxruntime", "numpy", "tokenizers", "nanotoken", "torch", *PEERS[:3])


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few texts: shows only that everything runs")
    quick = parser.parse_args().quick
    found = run(QUICK if quick else FULL)
    folder, images = (QUICK_FOLDER, QUICK_FOLDER) if quick else (RESULTS, IMAGES)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{found['date']}.json"
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    drawn = plots.write(found, images)
    if not quick:
        relative = {title: image.relative_to(PAGE.parent).as_posix() for title, image in drawn.items()}
        document.write(PAGE, found, relative)
    print("\n".join(document.lines(found, {title: image.name for title, image in drawn.items()})))
    print(f"{path}: written", file=sys.stderr)


def run(sizes: Sizes) -> dict[str, Any]:
    """Return the result of every measurement, as JSON values."""
    for name in ("wordpiece", "unlimited", "unigram", "bpe", "huge"):
        _say(f"making the model {name}, if it is not there")
        models.artifact(name)
    sets = {
        "sentences": texts.sentences(sizes.sentences),
        "paragraphs": texts.paragraphs(sizes.paragraphs),
        "languages": texts.languages(sizes.languages),
        "documents": texts.documents(sizes.documents),
        "cold": texts.paragraphs(sizes.cold),
    }
    started = time.perf_counter()
    result: dict[str, Any] = {
        "date": date.today().isoformat(),
        "quick": sizes is QUICK,
        "device": describe(_PACKAGES),
        "threads": 2,
        "peers": PEERS,
        "texts": {
            name: {"texts": len(found), "words": sum(len(text.split()) for text in found)}
            for name, found in sets.items()
        },
        "corpora": texts.CORPORA.is_dir(),
        "models": {name: _shape(name) for name in ("wordpiece", "unigram", "bpe", "huge")},
        "warm": list(_warm(sizes, sets)),
        "cold": _cold(sizes, sets["cold"]),
        "start": _start(sizes),
        "export": _export(sizes),
        **_opened(sizes),
        "scaling": list(_scaling(sizes)),
    }
    _say("quality and pooling")
    result["quality"] = quality.measure(sizes.quality)
    result["pooling"] = pooling.measure(sizes.paragraphs, sizes.rounds + 2)
    result["minutes"] = round((time.perf_counter() - started) / 60, 1)
    result["targets"] = [vars(row) for row in targets.rows(result)]
    return result


def _warm(sizes: Sizes, sets: dict[str, list[str]]) -> Iterator[dict[str, Any]]:
    float32 = [("float32", "auto"), ("float32", "tokenizers")]
    variants = [*((dtype, "auto") for dtype in DTYPES), ("float32", "tokenizers"), ("int8", "tokenizers")]
    short = ("sentences", "paragraphs", "languages")
    runs = [
        ("wordpiece", short, variants, 2),
        ("wordpiece", ("paragraphs",), variants, 1),
        ("unlimited", ("documents",), float32, 2),
        ("unigram", ("paragraphs", "languages"), float32, 2),
        ("bpe", ("paragraphs", "languages"), float32, 2),
    ]
    for model, names, chosen, threads in runs:
        _say(f"warm: {model}, {', '.join(names)}, threads {threads}")
        contenders = [portvec(model, *variant) for variant in chosen]
        contenders += [peer(name, model) for name in PEERS]
        queries = model == "wordpiece" and threads == 2
        for found in warm.measure(
            contenders,
            {name: sets[name] for name in names},
            threads,
            rounds=sizes.rounds if model == "wordpiece" else sizes.slow_rounds,
            seconds=sizes.seconds,
            queries=queries,
        ):
            yield {"model": model, **found}


def _wordpiece() -> list[Contender]:
    own = [portvec("wordpiece"), portvec("wordpiece", "int8"), portvec("wordpiece", tokenizer="tokenizers")]
    return [*own, *(peer(name, "wordpiece") for name in PEERS)]


def _cold(sizes: Sizes, paragraphs: list[str]) -> dict[str, Any]:
    _say("cold: whole processes")
    calls = {c.name: partial(once, c, paragraphs, 2) for c in _wordpiece()}
    return in_turns(calls, sizes.slow_rounds)


def _start(sizes: Sizes) -> dict[str, Any]:
    _say("interpreter start to first vector")
    calls = {c.name: partial(once, c, ["the first vector"], 2) for c in _wordpiece()}
    return in_turns(calls, sizes.rounds)


def _export(sizes: Sizes) -> dict[str, Any]:
    _say("export: whole processes")
    source = models.BUNDLED
    target = models.FOLDER / "exported"
    commands = {
        "portvec": [*models.export_command(source, target / "portvec"), "--overwrite"],
        "model2vec": models.onnx_command(source, target / "model2vec"),
    }
    return in_turns(
        {name: partial(process, command) for name, command in commands.items()},
        sizes.slow_rounds,
    )


def _opened(sizes: Sizes) -> dict[str, Any]:
    by_model = {}
    for name in ("wordpiece", "huge"):
        _say(f"opening {name}")
        folders = {"portvec": models.artifact(name), REFERENCE: models.source(name)}
        by_model[name] = in_turns(
            {library: partial(opened, library, folder) for library, folder in folders.items()},
            sizes.rounds,
        )
    return {"open": by_model["huge"], "open_by_model": by_model}


def _scaling(sizes: Sizes) -> Iterator[dict[str, Any]]:
    for contender in (portvec("wordpiece"), peer(REFERENCE, "wordpiece")):
        for count in sizes.scaling:
            _say(f"scaling: {contender.name}, {count:,} texts")
            measured = once(contender, list(islice(texts.many(count), count)), 2, measured=True)
            yield {"contender": contender.name, "count": count, **measured}


def _shape(name: str) -> dict[str, int]:
    with safe_open(models.source(name) / "model.safetensors", framework="numpy") as tensors:
        rows, dim = tensors.get_slice("embeddings").get_shape()
    return {"rows": rows, "dim": dim}


def _say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
