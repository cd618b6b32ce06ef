"""export_model: source -> table -> graph -> sidecar files -> verify -> rename."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from portvec._artifact import format as fmt
from portvec._artifact.folder import sha256_of
from portvec._artifact.manifest import FileRecord, Manifest, Quality, TokenizerFacts, Variant
from portvec._artifact.staging import check_target, exclusive, staged_folder
from portvec._inference.verify import Verification, verify
from portvec._options import accepts
from portvec.errors import ArtifactError, ExportError
from portvec_export._graph.writer import write_graph
from portvec_export._options import ExportOptions
from portvec_export._sidecars.conformance import record
from portvec_export._sidecars.consumers import write_consumer_files
from portvec_export._sidecars.model_card import model_card
from portvec_export._source.model import REFERENCE, SourceModel, load_source
from portvec_export._table.registry import codec_for


@accepts(ExportOptions)
def export_model(
    source: str | os.PathLike[str], output: str | os.PathLike[str], options: ExportOptions
) -> Path:
    """Export a Model2Vec model to an artifact folder.

    The artifact is written beside `output`, checked against model2vec there, and renamed. Even if the
    process is killed, `output` is either the complete artifact or what it was before.

    Args:
        source: a Model2Vec folder in any layout, or a Hub id `owner/name[@revision]`.
        output: the folder to create.
        options: callers give each field as a keyword argument, and this line becomes their descriptions.

    Returns:
        The path of the artifact folder.

    Raises:
        SourceError: the source does not exist, cannot be fetched or is not a valid Model2Vec model.
        MissingExtraError: `vocabulary_size` is given, and scikit-learn is not installed.
        OptionError: an option has a value that is unknown, out of range, or in conflict with the model.
        ExportError: `output` is taken or cannot be written, or the table does not fit the dtype or one file.
        ArtifactError: the written artifact does not reproduce model2vec; nothing was kept.
    """
    target = Path(output).expanduser().resolve()
    check_target(target, options.overwrite)
    with _progress("read", "write", "check", "done") as step:
        step()
        model = load_source(source, options)
        front_matter = model.front_matter
        try:
            with exclusive(target):
                check_target(target, options.overwrite)
                with staged_folder(target) as staging:
                    step()
                    manifest = _write_artifact(staging, model, options)
                    del model  # frees its table, because the check maps the one that was written
                    step()
                    checked = _check(staging, output)
                    step()
                    card = model_card(manifest, checked, front_matter)
                    (staging / fmt.CARD).write_text(card, encoding="utf-8")
        except OSError as error:
            raise ExportError(f"{output}: cannot be written ({error.strerror or error})") from error
    return Path(output)


@dataclass(frozen=True)
class _Written:
    """What `_write_table` wrote: paths in the artifact, and what the dtype costs."""

    graph: str
    conformance: str
    quality: Quality | None


def _write_artifact(folder: Path, source: SourceModel, options: ExportOptions) -> Manifest:
    """Write an artifact without its card into an empty folder."""
    main = _write_table(folder, source, options, options.dtype, fmt.GRAPH, fmt.CONFORMANCE)
    variants = {}
    for dtype in options.further_dtypes:
        written = _write_table(
            folder, source, options, dtype, codec_for(dtype).variant_graph, f"conformance.{dtype}.json"
        )
        variants[dtype] = Variant(written.graph, written.conformance, written.quality)
    graphs = [main.graph, *(variant.graph for variant in variants.values())]
    write_consumer_files(folder, source, graphs=graphs, single_file=options.single_file)
    manifest = _describe(source, options.dtype, main.quality, variants, _hash_files(folder))
    (folder / fmt.MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    return manifest


def _write_table(
    folder: Path, source: SourceModel, options: ExportOptions, dtype: str, graph: str, conformance: str
) -> _Written:
    """Write a graph with its table in one dtype, and record what model2vec computes from that table."""
    table = codec_for(dtype).encode(source.vectors, source.rules.max_length)
    write_graph(folder, graph, table, source.rules, source.head, options)
    recording = record(source, table)
    (folder / conformance).write_text(recording.conformance.to_json(REFERENCE), encoding="utf-8")
    return _Written(graph, conformance, recording.quality)


def _describe(
    source: SourceModel,
    dtype: str,
    quality: Quality | None,
    variants: dict[str, Variant],
    files: dict[str, FileRecord],
) -> Manifest:
    rules, vectors = source.rules, source.vectors
    return Manifest(
        source=source.origin,
        reference=REFERENCE,
        dim=vectors.dim,
        dtype=dtype,
        vocabulary_size=vectors.vocabulary_size,
        normalize=rules.normalize,
        max_length=rules.max_length,
        max_characters=rules.max_characters,
        unk_id=rules.unk_id,
        vocabulary_quantization=None if vectors.mapping is None else len(vectors.rows),
        tokenizer=TokenizerFacts(source.tokenizer["model"]["type"]),
        head=source.head.head if source.head else None,
        quality=quality,
        variants=variants,
        files=files,
    )


def _hash_files(folder: Path) -> dict[str, FileRecord]:
    """Return size and hash of each file, by its path in the folder."""
    return {
        path.relative_to(folder).as_posix(): FileRecord(path.stat().st_size, sha256_of(path))
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _check(staging: Path, output: str | os.PathLike[str]) -> Verification:
    try:
        return verify(staging)
    except ArtifactError as error:  # the staging folder no longer exists when the message is read
        raise ArtifactError(str(error).replace(str(staging), str(output))) from error


@contextmanager
def _progress(*steps: str) -> Iterator[Callable[[], None]]:
    """Show a progress bar, and yield a function that starts the next step."""
    with tqdm(total=len(steps), desc="export", unit="step", disable=None, leave=False, delay=0.5) as progress:
        names = iter(steps)

        def step() -> None:
            progress.set_postfix_str(next(names))
            progress.update()

        yield step
