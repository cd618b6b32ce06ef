"""Compare every kind of model with its library on whole corpora, and print a table in Markdown.

    python tests/tools/exhaustive.py [--library NAME] [--tokenizer NAME] [CORPUS.txt.gz ...]

Without corpora, on the standard library's docstrings alone. Batches are compared, and every sixteenth text
alone. Exits with 1 if any token id differs or any vector differs by more than 1e-6 of its norm. `make
test-exhaustive` runs it with model2vec and each tokenizer that "auto" may choose, and with
sentence-transformers.
"""

from __future__ import annotations

import argparse
import gzip
import platform
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

import static_folders
import texts
from comparison import compare
from corpus import paragraphs
from portvec import StaticEmbedder
from portvec._artifact import format as fmt
from portvec._itertools import batched
from portvec_export import export_model

BUNDLED = Path(__file__).parents[2] / "models" / "minilm-l6-v2-256"
PACKAGES = ("onnxruntime", "tokenizers", "numpy", "onnx")
LIBRARIES = ("model2vec", "sentence-transformers")


# One of so many texts is also embedded alone.
_ALONE = 16


class Pair(NamedTuple):
    """An artifact, as an object with `tokenize` and `encode`, and the library's model that it must equal."""

    name: str
    artifact: StaticEmbedder
    ours: Any
    theirs: Any


def main(arguments: list[str]) -> int:
    """Run every case; return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--library", choices=LIBRARIES, default=LIBRARIES[0])
    parser.add_argument("--tokenizer", default="auto")
    parser.add_argument("corpora", nargs="*")
    options = parser.parse_args(arguments)
    corpora: list[str] = options.corpora
    everything = list(_texts(corpora))
    print(f"{len(everything):,} texts; Python {platform.python_version()}, {platform.machine()};", end=" ")
    print(", ".join(f"{name} {version(name)}" for name in (options.library, *PACKAGES)))
    print("\n| model | tokenizer | texts | id mismatches | worst vector difference |\n|---|---|--:|--:|--:|")
    runs = _with_model2vec if options.library == LIBRARIES[0] else _with_sentence_transformers
    results = [_run(pair, everything) for pair in runs(options.tokenizer)]
    return 0 if all(results) else 1


def _texts(corpora: list[str]) -> Iterator[str]:
    yield from paragraphs(10_000)
    yield from texts.scripts()
    yield from texts.ADVERSARIAL
    yield from texts.huge()
    for path in corpora:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            yield from (line.rstrip("\n") for line in file)


def _with_model2vec(tokenizer: str) -> Iterator[Pair]:
    from matrix import CASES, PROJECTOR_CASES, Case

    for case in [Case("bundled, minilm-l6-v2-256", lambda _: BUNDLED), *CASES, *PROJECTOR_CASES]:
        with _exported(case, tokenizer, **case.export) as (source, embedder):
            if embedder is not None:
                yield Pair(case.name, embedder, embedder, case.load_reference(source))


def _with_sentence_transformers(tokenizer: str) -> Iterator[Pair]:
    from sentence_transformers import SentenceTransformer

    for case in static_folders.CASES:
        with _exported(case, tokenizer, semantics=LIBRARIES[1]) as (source, embedder):
            if embedder is None:
                continue
            model = SentenceTransformer(str(source), device="cpu")
            for name in case.prompt_names:
                title = case.name if name is None else f"{case.name}: {name}"
                yield Pair(title, embedder, _Prompted(embedder, name), _Library(model, name))


@contextmanager
def _exported(case: Any, tokenizer: str, **options: Any) -> Iterator[tuple[Path, StaticEmbedder | None]]:
    """Yield the source of a case and its artifact; None for a tokenizer that it has not."""
    with tempfile.TemporaryDirectory() as folder:
        source = case.build(Path(folder) / "model")
        artifact = export_model(source, Path(folder) / "artifact", **options)
        if tokenizer == "compiled" and not (artifact / fmt.VOCABULARY).is_file():
            print(f"| {case.name} | not compiled | | | |", flush=True)
            yield source, None
        else:
            yield source, StaticEmbedder.load(artifact, tokenizer=tokenizer)


class _Prompted:
    """An artifact with a prompt. Those for queries and documents have methods of their own."""

    def __init__(self, embedder: StaticEmbedder, prompt_name: str | None) -> None:
        self._embedder = embedder
        self._name = prompt_name

    def tokenize(self, texts: Sequence[str]) -> Any:
        return self._embedder.tokenize(texts, prompt_name=self._name)

    def encode(self, texts: Sequence[str]) -> Any:
        if self._name == fmt.QUERY:
            return self._embedder.encode_queries(texts)
        if self._name == fmt.DOCUMENT:
            return self._embedder.encode_documents(texts)
        return self._embedder.encode(texts, prompt_name=self._name)


class _Library:
    """A SentenceTransformer with a prompt."""

    max_length = None

    def __init__(self, model: Any, prompt_name: str | None) -> None:
        self._model = model
        self._name = prompt_name

    def tokenize(self, texts: list[str]) -> list[list[int]]:
        name = self._name or self._model.default_prompt_name
        prompt = None if name is None else self._model.prompts[name]
        features = self._model.preprocess(texts, prompt=prompt)
        ids, starts = features["input_ids"].tolist(), features["offsets"].tolist()
        return [ids[start:stop] for start, stop in zip(starts, [*starts[1:], len(ids)], strict=True)]

    def encode(self, texts: list[str]) -> Any:
        if self._name == fmt.QUERY:
            return self._model.encode_query(texts)
        if self._name == fmt.DOCUMENT:
            return self._model.encode_document(texts)
        return self._model.encode(texts, prompt_name=self._name)


def _run(pair: Pair, everything: list[str]) -> bool:
    manifest = pair.artifact.manifest
    limits = texts.around_limits(manifest.max_length, manifest.max_characters)
    count = mismatches = 0
    worst = 0.0
    batches = list(batched([*limits, *everything], 4096))
    for batch in tqdm(batches, desc=pair.name, disable=None, leave=False):
        found = compare(pair.ours, pair.theirs, batch)
        count += found.texts
        mismatches += len(found.id_mismatches)
        worst = max(worst, found.worst)
        for text in batch[::_ALONE]:
            found = compare(pair.ours, pair.theirs, [text])
            mismatches += len(found.id_mismatches)
            worst = max(worst, found.worst)
    print(f"| {pair.name} | {pair.artifact.tokenizer} | {count:,} | {mismatches} | {worst:.1e} |", flush=True)
    return mismatches == 0 and worst <= 1e-6


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
