"""Measure a model by dimensions and dtypes, and print the table of its README: `make measure-model`.

    python models/measure.py [MODEL] [--work FOLDER]

Each row is an artifact as `portvec export --dim ... --dtype ...` makes it, embedded with by portvec. The
working folder is that of `make train-model`. It holds the texts that were kept out of training.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from portvec import StaticEmbedder
from portvec._artifact import format as fmt
from portvec_export import export_model
from training.evaluation import Evaluation, Rows
from training.sources import fetch_packages
from training.texts import read_corpus

DIMS = (256, 128, 64, 32)
DTYPES = ("float32", "float16", "int8", "int4")


def main(model: Path, work: Path) -> None:
    """Print a row for each combination."""
    fetch_packages(work / "packages")
    corpus = read_corpus(work / "packages")
    corpus.warn_of_bundled()
    evaluation = Evaluation.open(work / "evaluation", corpus.held_out)
    heading = True
    with tempfile.TemporaryDirectory() as folder:
        for dim in DIMS:
            for dtype in DTYPES:
                artifact = export_model(model, Path(folder) / f"{dim}-{dtype}", dim=dim, dtype=dtype)
                embedder = StaticEmbedder.load(artifact)

                def embed(texts: Sequence[str], embedder: StaticEmbedder = embedder) -> Rows:
                    return embedder.encode(texts)

                scores = evaluation.score(embed)
                if heading:
                    print("| dimensions | dtype | table, MB |", " | ".join(scores), "|")
                    print("|--:|---|" + "--:|" * (1 + len(scores)))
                    heading = False
                size = embedder.manifest.files[fmt.data_of(fmt.GRAPH)].size / 1e6
                print(
                    f"| {dim} | {dtype} | {size:.1f} |",
                    " | ".join(f"{score:.2f}" for score in scores.values()),
                    "|",
                )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure a model by dimensions and dtypes.")
    parser.add_argument(
        "model", type=Path, nargs="?", default=Path("models/minilm-l6-v2-256"), help="folder of the model"
    )
    parser.add_argument(
        "--work", type=Path, default=Path("build/train"), help="working folder of the training"
    )
    arguments = parser.parse_args()
    main(arguments.model, arguments.work)
