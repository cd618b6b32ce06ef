"""Compare every kind of model with model2vec on whole corpora, and print a table in Markdown.

    python tests/tools/exhaustive.py [--tokenizer NAME] [CORPUS.txt.gz ...]

Without corpora, on the standard library's docstrings alone. Batches are compared, and every sixteenth text
alone. Exits with 1 if any token id differs or any vector differs by more than 1e-6 of its norm. `make
test-exhaustive` runs it with each tokenizer that "auto" may choose.
"""

from __future__ import annotations

import argparse
import gzip
import platform
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from tqdm import tqdm

import texts
from comparison import compare
from corpus import paragraphs
from matrix import CASES, PROJECTOR_CASES, Case
from portvec import StaticEmbedder
from portvec._artifact import format as fmt
from portvec._itertools import batched
from portvec_export import export_model

BUNDLED = Path(__file__).parents[2] / "models" / "minilm-l6-v2-256"
PACKAGES = ("model2vec", "onnxruntime", "tokenizers", "numpy", "onnx")


# One of so many texts is also embedded alone.
_ALONE = 16


def main(arguments: list[str]) -> int:
    """Run every case; return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokenizer", default="auto")
    parser.add_argument("corpora", nargs="*")
    options = parser.parse_args(arguments)
    corpora: list[str] = options.corpora
    everything = list(_texts(corpora))
    print(f"{len(everything):,} texts; Python {platform.python_version()}, {platform.machine()};", end=" ")
    print(", ".join(f"{name} {version(name)}" for name in PACKAGES))
    print("\n| model | tokenizer | texts | id mismatches | worst vector difference |\n|---|---|--:|--:|--:|")
    cases = [Case("bundled, minilm-l6-v2-256", lambda _: BUNDLED), *CASES, *PROJECTOR_CASES]
    failed = [case.name for case in cases if not _run(case, options.tokenizer, everything)]
    return 1 if failed else 0


def _texts(corpora: list[str]) -> Iterator[str]:
    yield from paragraphs(10_000)
    yield from texts.scripts()
    yield from texts.ADVERSARIAL
    yield from texts.huge()
    for path in corpora:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            yield from (line.rstrip("\n") for line in file)


def _run(case: Case, tokenizer: str, everything: list[str]) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        source = case.build(Path(folder) / "model")
        artifact = export_model(source, Path(folder) / "artifact", **case.export)
        is_compiled = (artifact / fmt.VOCABULARY).is_file()
        if tokenizer == "compiled" and not is_compiled:
            print(f"| {case.name} | not compiled | | | |", flush=True)
            return True
        embedder = StaticEmbedder.load(artifact, tokenizer=tokenizer)
        model = case.load_reference(source)
        limits = texts.around_limits(embedder.manifest.max_length, embedder.manifest.max_characters)
        count = mismatches = 0
        worst = 0.0
        batches = list(batched([*limits, *everything], 4096))
        for batch in tqdm(batches, desc=case.name, disable=None, leave=False):
            found = compare(embedder, model, batch)
            count += found.texts
            mismatches += len(found.id_mismatches)
            worst = max(worst, found.worst)
            for text in batch[::_ALONE]:
                found = compare(embedder, model, [text])
                mismatches += len(found.id_mismatches)
                worst = max(worst, found.worst)
    name = embedder.tokenizer
    print(f"| {case.name} | {name} | {count:,} | {mismatches} | {worst:.1e} |", flush=True)
    return mismatches == 0 and worst <= 1e-6


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
