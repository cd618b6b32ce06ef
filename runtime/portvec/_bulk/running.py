"""Running parts through a model: reading, embedding and writing overlap, and a journal records progress."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Literal, NamedTuple

import numpy as np

from portvec._artifact import format as fmt
from portvec._bulk.journal import SKIPPED, Entry, Journal, flush
from portvec._bulk.parts import Part, cut_parts, rows_per_part
from portvec._bulk.sources.source import BadRow, Source
from portvec._embedder import StaticEmbedder
from portvec._messages import describe_unknown
from portvec._tokenization.prompts import choose_prompt
from portvec._version import __version__
from portvec.errors import FileError, OptionError

if TYPE_CHECKING:
    import numpy.typing as npt

    from portvec._bulk.arrow import VectorType

# What is added to the name of an output, for the list of rows that were skipped.
SKIPPED_SUFFIX: Final = ".skipped.jsonl"

_ON_ERROR: Final = ("fail", "skip")

# Writes a part and its embeddings. Returns the sizes of the files, and the note for the journal.
WritePart = Callable[[Part, "npt.NDArray[np.float32]"], tuple[dict[str, int], Any]]
Progress = Callable[[int], object]


class Counts(NamedTuple):
    """What a run has done.

    Attributes:
        rows: number of embeddings in the output.
        skipped: number of rows that were skipped.
        resumed: how many of the embeddings an earlier run had written.
    """

    rows: int
    skipped: int
    resumed: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How to write embeddings.

    Attributes:
        embedding: name of their column or field.
        dtype: type of their numbers.
        fixed_size: whether Parquet and Arrow get lists of a fixed size.
        on_error: what to do about a row that cannot be embedded: "fail", or "skip" it and list it.
        prompt_name: name of the model's prompt to put before each text.
        overwrite: whether an output that exists may be replaced.
        part_rows: number of rows written together; as many as take 16 MiB if None.
    """

    embedding: str = "embedding"
    dtype: VectorType = "float32"
    fixed_size: bool = True
    on_error: Literal["fail", "skip"] = "fail"
    prompt_name: str = fmt.DOCUMENT
    overwrite: bool = False
    part_rows: int | None = None

    def __post_init__(self) -> None:
        """Check what would have no effect if it were misspelt.

        Raises:
            OptionError: `on_error` is unknown.
        """
        if self.on_error not in _ON_ERROR:
            raise OptionError(describe_unknown("on_error", self.on_error, _ON_ERROR))


def read_parts(embedder: StaticEmbedder, source: Source, plan: Plan) -> Iterator[Part]:
    """Yield the parts of a source.

    Raises:
        FileError: the source cannot be read, or a row cannot be embedded and `plan` does not skip it.
    """

    def report(bad: BadRow) -> None:
        if plan.on_error == "fail":
            raise FileError(f"{bad.message()}, or pass on_error='skip'")

    return cut_parts(source.read, report, plan.part_rows or rows_per_part(embedder.dim))


def embed_parts(
    embedder: StaticEmbedder,
    parts: Iterator[Part],
    write: Callable[[Part, npt.NDArray[np.float32]], object],
    plan: Plan,
) -> None:
    """Embed parts, and have `write` called with each and its embeddings, in order and from one thread.

    Reading, embedding and writing overlap, and no more than five parts are in memory.
    """
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:

        def read_ahead() -> Iterator[Part]:
            upcoming = reader.submit(next, parts, None)
            while (part := upcoming.result()) is not None:
                upcoming = reader.submit(next, parts, None)
                yield part

        written: Future[object] | None = None
        for part, rows in embed_each(embedder, read_ahead(), plan):
            if written is not None:
                written.result()
            written = writer.submit(write, part, rows)
        if written is not None:
            written.result()


def embed_each(
    embedder: StaticEmbedder, parts: Iterator[Part], plan: Plan
) -> Iterator[tuple[Part, npt.NDArray[np.float32]]]:
    """Yield parts with their embeddings. They are read in this thread, where a signal interrupts a read."""
    waiting: deque[Part] = deque()

    def texts() -> Iterator[list[str]]:
        for part in parts:
            waiting.append(part)
            yield part.texts

    for rows in embedder.encode_lists(texts(), prompt_name=plan.prompt_name):
        yield waiting.popleft(), rows


def embed_journaled(
    embedder: StaticEmbedder,
    source: Source,
    plan: Plan,
    journal: Journal,
    write: WritePart,
    progress: Progress,
) -> None:
    """Embed the parts that a journal lacks, and record each when `write` has returned.

    `progress` is called with the number of rows that are in the journal, and then with that of further ones.
    """
    progress(journal.last.rows)
    with open_at(journal.folder / SKIPPED, journal.last.sizes.get(SKIPPED, 0)) as skipped:

        def write_and_record(part: Part, rows: npt.NDArray[np.float32]) -> None:
            sizes, note = write(part, rows)
            skipped.writelines(map(describe_skipped, part.skipped))
            before = journal.last
            counts = before.rows + len(part), before.skipped + len(part.skipped)
            journal.append(Entry(*counts, {**sizes, SKIPPED: flush(skipped)}, note))
            progress(len(part))

        parts = read_parts(embedder, source, plan)
        embed_parts(embedder, islice(parts, len(journal.entries), None), write_and_record, plan)


def publish_skipped(journal: Journal, output: Path) -> None:
    """Move the list of rows that were skipped to its place beside the output, if any were."""
    report = journal.folder / SKIPPED
    if report.exists():  # not if a crash came after this
        if journal.last.skipped:
            report.replace(skipped_beside(output))
        else:
            skipped_beside(output).unlink(missing_ok=True)  # that of the output which is replaced


def skipped_beside(output: Path) -> Path:
    """Return the path of the list of rows that were skipped on the way to an output."""
    return output.with_name(output.name + SKIPPED_SUFFIX)


def describe_skipped(bad: BadRow) -> bytes:
    """Return the line for a row that was skipped."""
    row = {"file": bad.file, bad.unit: bad.line, "reason": bad.reason}
    # Bytes of a name that are not UTF-8 become escapes of JSON.
    return json.dumps(row, ensure_ascii=False).encode(errors="backslashreplace") + b"\n"


def open_at(path: Path, size: int) -> IO[bytes]:
    """Open a file of which `size` bytes are kept, with its position behind them.

    Raises:
        FileError: it has fewer.
    """
    path.touch()
    if path.stat().st_size < size:
        raise FileError(f"{path}: shorter than its journal says; remove its folder, and begin again")
    file = path.open("r+b")
    file.truncate(size)
    file.seek(size)
    return file


def describe_settings(embedder: StaticEmbedder, source: Source, plan: Plan) -> dict[str, Any]:
    """Return all that an output depends on, as JSON can hold it. Another run goes on only if it is equal.

    Raises:
        OptionError: the model has no prompt of the name that `plan` gives.
    """
    return {
        "input": describe_input(source),
        "format": source.format,
        "field": source.text,
        "model": f"{embedder.manifest.source.id} {embedder.manifest_sha256}",
        "prompt": choose_prompt(embedder.prompts, None, plan.prompt_name, None),
        "vector_field": plan.embedding,
        "dtype": plan.dtype,
        "type_of_vectors": "fixed-size list" if plan.fixed_size else "list",
        "number_of_rows_per_part": plan.part_rows or rows_per_part(embedder.dim),
        "set_of_versions": list_versions(),
        "kind_of_output": "file",
    }


def describe_input(source: Source) -> list[list[Any]]:
    """Return what tells the files of a source from others, and from themselves after a change."""
    stats = [(file, file.stat()) for file in source.files]
    return [[str(file.resolve()), stat.st_size, stat.st_mtime_ns] for file, stat in stats]


def check_input(source: Source, settings: dict[str, Any]) -> None:
    """Check that the files of a source are those that `settings` describe.

    Raises:
        FileError: one changed while it was read.
    """
    for before, now in zip(settings["input"], describe_input(source), strict=True):
        if before != now:
            raise FileError(f"{before[0]}: changed while it was read; pass overwrite=True to begin again")


def list_versions() -> dict[str, str]:
    """Return the versions of what computes and writes embeddings."""
    from importlib.metadata import PackageNotFoundError, version

    versions = {"portvec": __version__}
    for name in ("numpy", "onnxruntime", "pyarrow", "orjson"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
