"""Run the graphs with text input on every host, compare ids and vectors with Python's, and print tables.

    python tests/tools/run_text_input.py [--quick] [--allow-missing] [--write FILE] [CORPUS.txt.gz ...]

First each kind of tokenizer on this machine's onnxruntime, against the package `tokenizers`: every code
point alone, those below U+30000 between letters, and texts. Then the same files on every host, on fewer of
them. Exit code 1 if an id differs, a vector differs by more than 1e-5, or a host fails or could not be run;
--allow-missing forgives the last. --quick leaves out most code points. --write FILE puts what was found
between the markers of FILE, if all is well. `make test-text-in` runs it.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

import texts
from corpus import paragraphs
from portvec import StaticEmbedder
from portvec._artifact import format as fmt
from portvec._artifact.conformance import Conformance
from portvec._artifact.manifest import Manifest
from portvec._itertools import batched
from portvec_export import export_model
from text_input.hosts import CODE_POINTS, ORT, STRINGS, Host, hosts
from text_input.job import Result, write_job
from text_input.kinds import KINDS, Kind
from text_input.results import Job, Row, run, say, table, write

DOCSTRINGS = 4_000
LINES_OF_EACH_CORPUS = 3_000
# Hosts get one of so many code points, and one of nine real texts.
STEP = 37
BETWEEN_LETTERS = 0x30000


@dataclass(frozen=True)
class Model:
    """An exported model, and what Python gives for it.

    Attributes:
        name: the kind of its tokenizer.
        folder: its artifact.
        graphs: the files of its graphs, by the names of `hosts`.
    """

    name: str
    folder: Path
    graphs: dict[str, Path]
    manifest: Manifest
    embedder: StaticEmbedder

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the package `tokenizers`."""
        tokenizer = Tokenizer.from_file(str(self.folder / fmt.TOKENIZER))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer

    def ids(self, several: Sequence[str]) -> list[list[int]]:
        """Return the ids that are pooled, by the tokenizer and the rules of the manifest."""
        rules = self.manifest
        cut = [text[: rules.max_characters] for text in several]
        encodings = self.tokenizer.encode_batch_fast(cut, add_special_tokens=False)
        return [[each for each in one.ids[: rules.max_length] if each != rules.unk_id] for one in encodings]


def prepare(kind: Kind, folder: Path) -> Model:
    """Export a model."""
    artifact = export_model(
        kind.build(folder / "model"), folder / "artifact", text_input=[STRINGS, CODE_POINTS], **kind.export
    )
    graphs = {name: artifact / fmt.TEXT_GRAPHS[name] for name in (STRINGS, CODE_POINTS)}
    graphs[ORT] = to_ort(graphs[STRINGS], folder / "ort")
    embedder = StaticEmbedder.load(artifact, tokenizer="tokenizers")
    return Model(kind.name, artifact, graphs, embedder.manifest, embedder)


def to_ort(graph: Path, folder: Path) -> Path:
    """Convert a graph to onnxruntime's own format; the list of its operators comes beside it."""
    folder.mkdir()
    (folder / graph.name).write_bytes(graph.read_bytes())
    command = [sys.executable, "-m", "onnxruntime.tools.convert_onnx_models_to_ort", str(folder)]
    command += ["--optimization_style", "Fixed"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return folder / f"{graph.stem}.ort"


def code_points(quick: bool) -> Iterator[str]:
    """Yield every code point that UTF-8 can encode, alone, then between letters."""
    scalars = (code for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000)
    for code in itertools.islice(scalars, 0, None, STEP if quick else 1):
        yield chr(code)
        if code < BETWEEN_LETTERS:
            yield f"a{chr(code)}b"


def hard_texts(model: Model) -> list[str]:
    """Return recorded texts, adversarial ones, those at each limit, and special tokens."""
    path = model.folder / fmt.CONFORMANCE
    recorded = Conformance.read(path.read_bytes(), path, model.manifest)
    added = model.tokenizer.get_added_tokens_decoder().values()
    return [
        *recorded.texts,
        *texts.ADVERSARIAL,
        *texts.scripts(),
        *texts.around_limits(model.manifest.max_length, model.manifest.max_characters),
        *(form.format(each.content) for each in added for form in ("{0}", "a{0}b", " {0} {0}.")),
    ]


def real_texts(corpora: Sequence[str]) -> list[str]:
    """Return paragraphs and lines."""
    return [*paragraphs(DOCSTRINGS), *itertools.chain.from_iterable(map(lines, corpora))]


def lines(corpus: str) -> list[str]:
    """Return lines taken evenly from a corpus."""
    with gzip.open(corpus, "rt", encoding="utf-8") as file:
        everything = file.read().split("\n")
    return everything[:: max(1, len(everything) // LINES_OF_EACH_CORPUS)]


def check_here(model: Model, several: Sequence[str], points: Iterator[str]) -> Row:
    """Compare the ids of texts and code points on the onnxruntime of this process."""
    row = Row(model.name, onnxruntime.__version__)
    session = onnxruntime.InferenceSession(model.graphs[STRINGS], providers=["CPUExecutionProvider"])
    for batch in itertools.chain(batched(sorted(several, key=len), 64), batched(points, 8192)):
        (ids,) = session.run([fmt.INPUT_IDS], {"text": np.array(batch, dtype=object)})
        row.add(batch, model.ids(batch), [each[each >= 0].tolist() for each in ids])
    row.judge()
    return row


def make_job(model: Model, several: Sequence[str], folder: Path) -> Job:
    """Write the job of a model, with texts and a part of the code points."""
    folder.mkdir()
    chosen = [*several, *code_points(quick=True)]
    job = Job(model.name, model.graphs, {}, {}, {})
    for nul in (True, False):
        # Long texts are not in a batch with short ones, which would be padded to their length.
        ordered = sorted((text for text in chosen if nul or "\0" not in text), key=len)
        job.texts[nul] = ordered
        job.files[nul] = folder / f"nul-{nul}"
        job.expected[nul] = Result(model.ids(ordered), model.embedder.encode(ordered))
        write_job(job.files[nul], list(batched(ordered, 256)))
    return job


def operators(jobs: Sequence[Job]) -> str:
    """Return the operators of all graphs in onnxruntime's own format, as its builds read them."""
    found: dict[tuple[str, int], set[str]] = {}
    for job in jobs:
        (config,) = job.graphs[ORT].parent.glob("*.config")
        for line in config.read_text().splitlines():
            if not line.startswith("#"):
                domain, version, names = line.split(";")
                found.setdefault((domain, int(version)), set()).update(names.split(","))
    listed = (
        f"{domain};{version};{','.join(sorted(found[domain, version]))}" for domain, version in sorted(found)
    )
    return "```text\n" + "\n".join(listed) + "\n```\n"


def main() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--allow-missing", action="store_true")
    parser.add_argument("--write", type=Path, metavar="FILE")
    parser.add_argument("corpora", nargs="*")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="portvec-text-in-") as name:
        work = Path(name)

        def check(numbered: tuple[int, Kind]) -> tuple[Row, Job]:
            number, kind = numbered
            started = time.monotonic()
            model = prepare(kind, work / str(number))
            hard, real = hard_texts(model), real_texts(options.corpora)
            row = check_here(model, [*hard, *real], code_points(options.quick))
            job = make_job(model, [*hard, *real[:: STEP // 4]], work / str(number) / "job")
            say(row, started)
            return row, job

        def timed(host: Host) -> Row:
            started = time.monotonic()
            row = run(host, [job for _, job in checked])
            say(row, started)
            return row

        with ThreadPoolExecutor(2) as executor:
            checked = list(executor.map(check, enumerate(KINDS)))
            ran = list(executor.map(timed, hosts()))
        listed = operators([job for _, job in checked])
    kinds = [row for row, _ in checked]
    text = f"{table(kinds, 'tokenizer', False)}\n{table(ran, 'host', True)}"
    print(text, flush=True)
    rows = [*kinds, *ran]
    failed = [row for row in rows if row.problem and not row.missing]
    missing = [row for row in rows if row.missing]
    print(f"{len(rows) - len(failed) - len(missing)} passed, {len(failed)} failed, {len(missing)} not run")
    if options.write and not failed and not missing:
        write(options.write, "hosts", text)
        write(options.write, "operators", listed)
    return 1 if failed or (missing and not options.allow_missing) else 0


if __name__ == "__main__":
    sys.exit(main())
