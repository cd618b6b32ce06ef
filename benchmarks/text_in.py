"""Measure graphs with text input beside `tokenizers` and a graph; write the table of docs/text-in.md.

Run as `python -m benchmarks.text_in`. Each measurement is a process of its own, on one core. All but portvec
itself are a stock onnxruntime and what its users write.
"""

from __future__ import annotations

import argparse
import json
import os
import runpy
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from itertools import islice
from pathlib import Path
from statistics import median
from textwrap import fill
from typing import Any

from benchmarks import models, texts
from portvec._artifact import format as fmt
from portvec._cli.bench.device import describe

# int8, since the table is the larger part of a file, and who counts bytes takes this.
_DTYPE = "int8"
_MODELS = {"wordpiece": "WordPiece", "unigram": "Unigram", "bpe": "byte-level BPE", "huge": "Unigram 500k"}
# Characters in a batch, counting padding.
_BATCH = 1 << 15
_QUERY = "how do I read a large file line by line"
_CALLS = 300

PAGE = models.ROOT / "docs" / "text-in.md"
_BEGIN, _END = "<!-- text-in benchmark -->", "<!-- end of text-in benchmark -->"

Encode = Callable[[list[str]], Any]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.text_in", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=_MODELS, default=list(_MODELS))
    parser.add_argument("--texts", type=int, default=5_000, help="paragraphs, and texts of 12 words")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", nargs=2, metavar=("CONTENDER", "FOLDER"), help="be one measuring process")
    arguments = parser.parse_args()
    if arguments.one:
        contender, folder = arguments.one
        print(json.dumps(_measure_one(contender, folder, arguments.texts)))
        return
    measured = _measure(arguments.models, arguments.texts, arguments.rounds)
    lines = [_describe(arguments.texts, arguments.rounds), "", *_tabulate(measured)]
    print("\n".join(lines))
    if arguments.models == list(_MODELS):
        _write(lines)


def _describe(count: int, rounds: int) -> str:
    device = describe(("onnxruntime", "tokenizers"))
    packages = ", ".join(f"{name} {number}" for name, number in device["packages"].items())
    return fill(
        f"Run on {date.today().isoformat()}: {device['cpu']}, one core; {packages}; tables in {_DTYPE}; "
        f"{count:,} texts of each kind in batches of similar length; medians of {rounds} processes. Private "
        "memory is that after these texts. Files are those that are read.",
        width=120,
        break_on_hyphens=False,
    )


def _write(lines: Sequence[str]) -> None:
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    body = "\n".join(lines)
    PAGE.write_text(f"{before}{begin}\n{body}\n{end}{after}", encoding="utf-8", newline="\n")


def _measure(names: Sequence[str], count: int, rounds: int) -> Iterator[dict[str, Any]]:
    """Yield what each contender needs with each model, as medians."""
    for name in names:
        folder = models.text_artifact(name, _DTYPE)
        runs: dict[str, list[dict[str, float]]] = {contender: [] for contender in CONTENDERS}
        for _ in range(rounds):
            for contender, found in runs.items():
                options = ["--texts", str(count), "--one", contender, str(folder)]
                command = [sys.executable, "-m", "benchmarks.text_in", *options]
                result = subprocess.run(command, check=True, capture_output=True, cwd=models.ROOT)
                found.append(json.loads(result.stdout))
        for contender, found in runs.items():
            size = sum(path.stat().st_size for path in _files(contender, folder))
            medians = {key: median(run[key] for run in found) for key in found[0]}
            yield {"model": _MODELS[name], "contender": contender, "bytes": size, **medians}


def _files(contender: str, folder: Path) -> list[Path]:
    """Return the files of an artifact that a contender reads."""
    return [folder / name for name in CONTENDERS[contender][1]]


def _tabulate(results: Iterator[dict[str, Any]]) -> Iterator[str]:
    yield "| | | paragraphs/s | texts of 12 words/s | one query | load | private memory | files |"
    yield "|---|---|--:|--:|--:|--:|--:|--:|"
    for row in results:
        cells = [
            f"{row['paragraphs']:,.0f}",
            f"{row['short']:,.0f}",
            f"{row['query'] * 1e6:,.0f} us",
            f"{row['load']:.2f} s",
            f"{row['memory'] / 1e6:,.0f} MB",
            f"{row['bytes'] / 1e6:,.1f} MB",
        ]
        yield f"| {row['model']} | {row['contender']} | {' | '.join(cells)} |"


def _measure_one(contender: str, folder: str, count: int) -> dict[str, float]:
    """Load a contender; return its texts per second, and the seconds of a call and of loading."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    private_bytes = runpy.run_path(str(Path(__file__).with_name("private_memory.py")))["private_bytes"]
    sets = {"paragraphs": texts.paragraphs(count), "short": list(islice(texts.many(count), count))}
    before, start = private_bytes(), time.perf_counter()
    encode = CONTENDERS[contender][0](Path(folder))
    encode([_QUERY])
    found = {"load": time.perf_counter() - start}
    for name, given in sets.items():
        encode(given)
        found[name] = len(given) / _time(lambda given=given: encode(given))  # type: ignore[misc]
    found["memory"] = private_bytes() - before
    found["query"] = median(_time(lambda: encode([_QUERY])) for _ in range(_CALLS))
    return found


def _time(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _session(path: Path) -> Any:
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = 1
    return InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _in_batches(encode: Encode) -> Encode:
    """Give texts of similar length together, since a graph pads them to the longest."""

    def encode_all(given: list[str]) -> Any:
        import numpy as np

        order = sorted(range(len(given)), key=lambda index: len(given[index]), reverse=True)
        rows: list[Any] = []
        while len(rows) < len(order):
            size = max(1, _BATCH // max(1, len(given[order[len(rows)]])))
            rows.extend(encode([given[index] for index in order[len(rows) : len(rows) + size]]))
        out = np.empty((len(rows), len(rows[0])), dtype=np.float32)
        out[order] = rows
        return out

    return encode_all


def _strings(folder: Path) -> Encode:
    import numpy as np

    session = _session(folder / fmt.TEXT_GRAPHS[fmt.STRINGS])
    name = fmt.TEXT_INPUTS[fmt.STRINGS]

    def encode(given: list[str]) -> Any:
        return session.run([fmt.SENTENCE_EMBEDDING], {name: np.array(given, dtype=np.object_)})[0]

    return _in_batches(encode)


def _code_points(folder: Path) -> Encode:
    import numpy as np

    session = _session(folder / fmt.TEXT_GRAPHS[fmt.CODE_POINTS])
    name = fmt.TEXT_INPUTS[fmt.CODE_POINTS]

    def encode(given: list[str]) -> Any:
        points = np.full((len(given), max(map(len, given))), fmt.TEXT_PADDING, dtype=np.int32)
        for row, text in zip(points, given, strict=True):
            row[: len(text)] = np.frombuffer(text.encode("utf-32-le"), dtype=np.int32)
        return session.run([fmt.SENTENCE_EMBEDDING], {name: points})[0]

    return _in_batches(encode)


def _tokenizers(folder: Path) -> Encode:
    import numpy as np
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / fmt.TOKENIZER))
    tokenizer.enable_padding()
    session = _session(folder / fmt.GRAPH)

    def encode(given: list[str]) -> Any:
        encodings = tokenizer.encode_batch_fast(given)
        feeds = {
            fmt.INPUT_IDS: np.array([each.ids for each in encodings], dtype=np.int64),
            fmt.ATTENTION_MASK: np.array([each.attention_mask for each in encodings], dtype=np.int64),
        }
        return session.run([fmt.SENTENCE_EMBEDDING], feeds)[0]

    return _in_batches(encode)


def _portvec(tokenizer: str) -> Callable[[Path], Encode]:
    def load(folder: Path) -> Encode:
        from portvec import StaticEmbedder

        return StaticEmbedder.load(folder, tokenizer=tokenizer, threads=1).encode

    return load


_BESIDE = (fmt.GRAPH, fmt.data_of(fmt.GRAPH))
# How to load each, and the files that it reads.
CONTENDERS: dict[str, tuple[Callable[[Path], Encode], Sequence[str]]] = {
    "text input": (_strings, [fmt.TEXT_GRAPHS[fmt.STRINGS]]),
    "code points": (_code_points, [fmt.TEXT_GRAPHS[fmt.CODE_POINTS]]),
    "tokenizers + graph": (_tokenizers, [*_BESIDE, fmt.TOKENIZER]),
    'portvec, tokenizer="graph"': (_portvec("graph"), [*_BESIDE, fmt.TEXT_GRAPHS[fmt.CODE_POINTS]]),
    "portvec": (_portvec("compiled"), [*_BESIDE, fmt.VOCABULARY]),
}


if __name__ == "__main__":
    main()
