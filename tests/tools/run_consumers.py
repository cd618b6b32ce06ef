"""Run every consumer on one artifact, compare with portvec's vectors, and print a table.

The environments lie below build/consumers; `make test-consumers` makes them. Exit code 1 if a consumer
fails, differs, or could not be run; --allow-missing forgives the last. --write FILE puts the table into FILE,
between the lines `<!-- table -->` and `<!-- end of table -->`, if all is well.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from model2vec import StaticModel

from consumer_rows import CONSUMERS, VARIANTS, Consumer
from portvec import StaticEmbedder
from portvec._artifact.format import TOLERANCE
from portvec_export import export_model

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "tests" / "consumers"
BUILD = ROOT / "build" / "consumers"
BUNDLED = ROOT / "models" / "minilm-l6-v2-256"
TIMEOUT = 300  # seconds
MARKERS = ("<!-- table -->\n", "<!-- end of table -->\n")


@dataclass(frozen=True)
class Row:
    """The result of a consumer. `problem` is empty if it passed."""

    consumer: Consumer
    version: str = ""
    worst: float = float("nan")
    problem: str = ""
    missing: bool = False


def prepare() -> tuple[list[str], dict[str, npt.NDArray[np.float32]]]:
    """Export the artifacts; return the recorded texts, and portvec's vectors of them for each type."""
    dtypes = [variant.dtype for variant in VARIANTS]
    # The bundled table is exact in float16. A third of it is not, so that every type has vectors of its own.
    third = StaticModel.from_pretrained(BUNDLED, quantize_to="float32", force_download=False)
    third.embedding = third.embedding / np.float32(3)
    third.save_pretrained(BUILD / "model")
    folder = export_model(BUILD / "model", BUILD / "artifact", variants=dtypes, overwrite=True)
    texts = [case["text"] for case in json.loads((folder / "conformance.json").read_text("utf-8"))["texts"]]
    vectors = {}
    for dtype in dtypes:
        alone = export_model(BUILD / "model", BUILD / "alone" / dtype, dtype=dtype, overwrite=True)
        vectors[dtype] = StaticEmbedder.load(alone).encode(texts)
        others = [_difference(vectors[dtype], vectors[other], False) for other in vectors if other != dtype]
        assert min(others, default=1.0) > 10 * TOLERANCE, f"{dtype} cannot be told from other types"
    one_file = export_model(
        BUILD / "model", BUILD / "token-type-ids", token_type_ids=True, single_file=True, overwrite=True
    )
    _as_on_the_hub(one_file)
    return texts, vectors


def _as_on_the_hub(folder: Path) -> None:
    """Put an artifact into huggingface_hub's cache, with the graph at the root for pymilvus."""
    repository = BUILD / "hub" / f"models--portvec--{folder.name}"
    shutil.rmtree(repository, ignore_errors=True)
    commit = "0" * 40
    snapshot = shutil.copytree(folder, repository / "snapshots" / commit)
    shutil.copy(folder / "onnx" / "model.onnx", snapshot)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)


def run(consumer: Consumer, texts: list[str], expected: dict[str, npt.NDArray[np.float32]]) -> Row:
    """Call a consumer and compare its vectors."""
    options = [json.dumps(options) for _, options in consumer.runs]
    arguments = [_folder(consumer), consumer.package, *options]
    try:
        command = _command(consumer)
    except FileNotFoundError as error:
        return Row(consumer, problem=f"not run: {error}", missing=True)
    try:
        result = subprocess.run(
            [*command, *arguments],
            input=json.dumps(texts),
            env={
                **os.environ,
                "HF_HUB_OFFLINE": "1",
                "HF_HUB_CACHE": str(BUILD / "hub"),
                "ORT_DISABLE_TELEMETRY": "1",
                "ANONYMIZED_TELEMETRY": "False",
                "PYTHONUTF8": "1",
            },
            capture_output=True,
            encoding="utf-8",
            timeout=TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        return Row(consumer, problem=f"failed: took more than {TIMEOUT} seconds")
    if result.returncode:
        said = [line for line in result.stderr.splitlines() if line.strip()]
        last = next((line for line in reversed(said) if "rror" in line), said[-1] if said else "no message")
        return Row(consumer, problem=f"failed: exit code {result.returncode}, {last.strip()}")
    got = json.loads(result.stdout.splitlines()[-1])
    try:
        differences = [
            _difference(np.array(vectors), expected[dtype], consumer.zero_is_nan)
            for (dtype, _), vectors in zip(consumer.runs, got["vectors"], strict=True)
        ]
    except ValueError as error:
        return Row(consumer, got["version"], problem=f"failed: {error}")
    worst = float(np.max(differences))  # NaN if any is, unlike max()
    problem = "" if worst <= TOLERANCE else f"differs by more than {TOLERANCE:.0e}"
    return Row(consumer, got["version"], worst, problem)


def _folder(consumer: Consumer) -> str:
    return consumer.folder if "/" in consumer.folder else str(BUILD / consumer.folder)


def _command(consumer: Consumer) -> list[str]:
    if not consumer.script.endswith(".mjs"):
        python = python_of(consumer.environment)
        if not python.exists():
            raise FileNotFoundError(f"{python.relative_to(ROOT)} missing, run make test-consumers")
        return [str(python), str(SCRIPTS / "call.py"), str(SCRIPTS / consumer.script)]
    environment = BUILD / consumer.environment
    node = shutil.which("node")
    if node is None:
        raise FileNotFoundError("node missing, install Node.js 20 or newer with npm")
    if not (environment / "node_modules").is_dir():
        raise FileNotFoundError(
            f"{(environment / 'node_modules').relative_to(ROOT)} missing, run make test-consumers"
        )
    # Node looks for modules beside the script that imports them.
    for name in ("call.mjs", consumer.script):
        shutil.copy(SCRIPTS / name, environment)
    return [node, str(environment / "call.mjs"), consumer.script]


def python_of(environment: str) -> Path:
    """Return the interpreter of a virtual environment."""
    return BUILD / environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def _difference(vectors: npt.NDArray[Any], expected: npt.NDArray[np.float32], zero_is_nan: bool) -> float:
    """Return the largest difference of any component. If each position has a vector, all of them count.

    The model's vectors have unit length, or are zero.
    """
    if vectors.ndim == 3:
        expected = np.repeat(expected[:, None], vectors.shape[1], axis=1)
    if vectors.shape != expected.shape:
        raise ValueError(f"gave vectors of shape {vectors.shape}, expected {expected.shape}")
    if zero_is_nan:
        vectors = np.where(
            np.isnan(vectors) & (np.abs(expected).max(axis=-1, keepdims=True) == 0), 0, vectors
        )
    return float(np.abs(vectors.astype(np.float64) - expected).max())


def table(rows: list[Row]) -> str:
    """Return the rows as Markdown."""
    lines = ["| consumer | version | called | worst difference |", "|---|---|---|--:|"]
    for row in rows:
        worst = (
            row.problem
            if np.isnan(row.worst)
            else f"{row.worst:.1e} {row.problem}".replace("0.0e+00", "0").strip()
        )
        cells = [row.consumer.name, row.version, row.consumer.called, worst]
        lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def write(path: Path, text: str) -> None:
    """Put `text` between the markers of a file."""
    before, rest = path.read_text("utf-8").split(MARKERS[0])
    after = rest.split(MARKERS[1])[1]
    path.write_text(f"{before}{MARKERS[0]}{text}{MARKERS[1]}{after}", encoding="utf-8")


def main() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--allow-missing", action="store_true")
    parser.add_argument("--write", type=Path, metavar="FILE")
    options = parser.parse_args()
    texts, expected = prepare()

    def timed(consumer: Consumer) -> Row:
        started = time.monotonic()
        row = run(consumer, texts, expected)
        seconds = time.monotonic() - started
        print(f"{consumer.name}: {consumer.called}: {seconds:.0f} s", file=sys.stderr, flush=True)
        return row

    with ThreadPoolExecutor(3) as executor:  # consumers mostly wait for the disk
        rows = list(executor.map(timed, CONSUMERS))
    failed = [row for row in rows if row.problem and not row.missing]
    missing = [row for row in rows if row.missing]
    text = table(rows)
    print(text, flush=True)
    print(f"{len(rows) - len(failed) - len(missing)} passed, {len(failed)} failed, {len(missing)} not run")
    if options.write and not failed and not missing:
        write(options.write, text)
    return 1 if failed or (missing and not options.allow_missing) else 0


if __name__ == "__main__":
    sys.exit(main())
