"""export_model: source -> table -> graph -> sidecar files -> verify -> rename."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from portvec._artifact import format as fmt
from portvec._artifact.folder import Artifact, open_artifact, sha256_of
from portvec._artifact.layers import tolerance_after
from portvec._artifact.manifest import FileRecord, Manifest, Quality, TokenizerFacts, Variant
from portvec._artifact.staging import check_target, new_folder
from portvec._inference.verify import check_results
from portvec._options import accepts, check_path
from portvec._progress import Progress
from portvec_export._graph.writer import write_graph, write_runtime_graph
from portvec_export._options import ExportOptions
from portvec_export._sidecars.conformance import Recorder
from portvec_export._sidecars.consumers import write_consumer_files
from portvec_export._sidecars.model_card import render_model_card
from portvec_export._source.model import SourceModel, load_source
from portvec_export._table.registry import codec_for, encode_table
from portvec_export._text_input.writer import write_text_graphs
from portvec_export._vocabulary.writer import write_vocabulary


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
        ExportError: `output` is taken or cannot be written, the table does not fit the dtype or one file, or
            a graph cannot have the tokenizer, though `text_input` asks for that.
        ArtifactError: the written artifact does not reproduce model2vec; nothing was kept.
    """
    return export_artifact(source, output, options).folder


def export_artifact(
    source: str | os.PathLike[str], output: str | os.PathLike[str], options: ExportOptions
) -> Artifact:
    """Do what `export_model` does, and return the artifact."""
    check_path("the source", source)
    check_path("output", output)
    check_target(output, options.overwrite)
    with _progress("read", "write", "check", "done") as step:
        step()
        model = load_source(source, options)
        front_matter = model.front_matter
        with new_folder(output, overwrite=options.overwrite) as staging:
            step()
            manifest = _write_artifact(staging, model, options)
            del model  # frees its table, because the check maps the one that was written
            step()
            checked = check_results(open_artifact(staging))
            step()
            card = render_model_card(manifest, checked, front_matter)
            (staging / fmt.CARD).write_text(card, encoding="utf-8")
    return open_artifact(Path(output).expanduser())


def _write_artifact(folder: Path, source: SourceModel, options: ExportOptions) -> Manifest:
    """Write an artifact without its card into an empty folder."""
    recorder = Recorder(source)
    tolerance = tolerance_after([layer.facts() for layer in source.rules.layers])

    def write_table(dtype: str, graph: str, conformance: str, *, is_main: bool = False) -> Variant:
        """Write a graph and its table, and record what model2vec computes from that table."""
        table = encode_table(dtype, source.vectors, source.rules.max_length)
        data = write_graph(folder, graph, table, source.rules, source.head, options)
        if is_main and data is not None:
            write_runtime_graph(folder, table, source.rules, source.head, data)
        if is_main:
            write_text_graphs(folder, source, table, options)
        recording = recorder.record(table)
        recorded = recording.conformance.to_json(source.rules.reference, tolerance)
        (folder / conformance).write_text(recorded, encoding="utf-8")
        return Variant(graph, conformance, recording.quality)

    main = write_table(options.dtype, fmt.GRAPH, fmt.CONFORMANCE, is_main=True)
    variants = {}
    for dtype in options.further_dtypes:
        variants[dtype] = write_table(dtype, codec_for(dtype).variant_graph, fmt.conformance_of(dtype))
    graphs = [main.graph, *(variant.graph for variant in variants.values())]
    write_consumer_files(folder, source, graphs, options)
    tokenizer = write_vocabulary(folder, source)
    manifest = _describe(source, options, main.quality, tokenizer, variants, _hash_files(folder))
    (folder / fmt.MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    return manifest


def _describe(
    source: SourceModel,
    options: ExportOptions,
    quality: Quality | None,
    tokenizer: TokenizerFacts,
    variants: dict[str, Variant],
    files: dict[str, FileRecord],
) -> Manifest:
    rules, vectors = source.rules, source.vectors
    return Manifest(
        source=source.origin,
        reference=rules.reference,
        dim=source.dim,
        table_dim=vectors.dim,
        dtype=options.dtype,
        vocabulary_size=vectors.vocabulary_size,
        normalize=rules.normalize,
        max_length=rules.max_length,
        max_characters=rules.max_characters,
        unk_id=rules.unk_id,
        vocabulary_quantization=None if vectors.mapping is None else len(vectors.rows),
        tokenizer=tokenizer,
        head=source.head.facts if source.head else None,
        layers=[layer.facts() for layer in rules.layers],
        prompts=rules.prompts,
        default_prompt_name=rules.default_prompt_name,
        quality=quality,
        variants=variants,
        text_inputs=options.text_inputs,
        files=files,
    )


def _hash_files(folder: Path) -> dict[str, FileRecord]:
    """Return size and hash of each file, by its path in the folder."""
    return {
        path.relative_to(folder).as_posix(): FileRecord(path.stat().st_size, sha256_of(path))
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@contextmanager
def _progress(*steps: str) -> Iterator[Callable[[], None]]:
    """Show a progress bar, and yield a function that starts the next step."""
    with Progress(
        total=len(steps), desc="export", unit="step", disable=None, leave=False, delay=0.5
    ) as progress:
        names = iter(steps)

        def step() -> None:
            progress.set_postfix_str(next(names))
            progress.update()

        yield step
