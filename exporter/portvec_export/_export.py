"""export_model: source -> table -> graph -> staged folder -> checks -> artifact."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from tqdm import tqdm

from portvec._artifact import format as fmt
from portvec._artifact.conformance import Conformance
from portvec._artifact.folder import open_artifact, sha256_of
from portvec._artifact.manifest import FileRecord, Manifest, Quality, TokenizerFacts, Variant
from portvec._artifact.staging import check_target, exclusive, staged_folder
from portvec._inference.verify import Verification, verify
from portvec.errors import ArtifactError, ExportError
from portvec_export._graph.writer import write_graph
from portvec_export._sidecars.conformance_texts import conformance_texts
from portvec_export._sidecars.consumers import write_consumer_files
from portvec_export._sidecars.model_card import model_card
from portvec_export._source.model import REFERENCE, SourceModel, load_source
from portvec_export._table.codecs import make_table
from portvec_export._table.quality import paragraphs, quality


def export_model(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    dtype: str = "float32",
    dim: int | None = None,
    vocabulary_size: int | None = None,
    normalize: bool | None = None,
    max_length: int | Literal["model"] | None = "model",
    revision: str | None = None,
    token: str | bool | None = None,
    subfolder: str | None = None,
    single_file: bool = False,
    overwrite: bool = False,
    variants: Sequence[str] = (),
    token_type_ids: bool = False,
) -> Path:
    """Export a Model2Vec model to an artifact folder.

    The artifact is written beside `output`, checked against model2vec there, and renamed: `output`
    is complete or as it was before, also if the process is killed.

    Args:
        source: a Model2Vec folder in any layout, or a Hub id `owner/name[@revision]`.
        output: the folder to make.
        dtype: type of the stored table: "float32", "float16", "int8" (a quarter) or "int4"
            (a seventh). Embeddings are float32 whatever it is.
        dim: keep the first `dim` dimensions; all if None.
        vocabulary_size: number of vectors that all token ids share, found by model2vec's k-means; each id has
            its own if None. Takes minutes for large models, and the extra `vocabulary`.
        normalize: whether embeddings get unit length; as the model says if None.
        max_length: tokens kept of a text, None for all; the model's own limit by default.
        revision: branch, tag or commit on the Hub.
        token: Hub access token; True or None use the one that huggingface_hub finds.
        subfolder: folder inside the repository or local folder.
        single_file: put the table inside model.onnx, for consumers that load a graph from bytes.
        overwrite: replace `output` if it is an artifact.
        variants: further types to store in the same folder, under the names by which other runtimes look
            for them: onnx/model_fp16.onnx, model_quantized.onnx (int8) and model_q4.onnx (int4).
            onnx/model.onnx, and what portvec loads, has `dtype`; it may be listed too.
        token_type_ids: let the graphs accept this third input, which changes nothing, for consumers that
            always feed it.

    Returns:
        The path of the artifact folder.

    Raises:
        SourceError: the source does not exist, cannot be fetched or is no sound Model2Vec model.
        MissingExtraError: `vocabulary_size` is given, and scikit-learn is not installed.
        ExportError: an argument is out of range, `output` is taken or cannot be written.
        ArtifactError: the written artifact does not reproduce model2vec; nothing was kept.
    """
    _check_arguments(dtype, dim=dim, vocabulary_size=vocabulary_size, max_length=max_length)
    further = _further_types(dtype, variants)
    target = Path(output).expanduser().resolve()
    check_target(target, overwrite)
    with tqdm(total=4, desc="export", unit="step", disable=None, leave=False, delay=0.5) as progress:

        def step(name: str) -> None:
            progress.set_postfix_str(name)
            progress.update()

        step("read")
        model = load_source(
            source,
            dim=dim,
            vocabulary_size=vocabulary_size,
            normalize=normalize,
            max_length=max_length,
            revision=revision,
            token=token,
            subfolder=subfolder,
        )
        try:
            with exclusive(target):
                check_target(target, overwrite)
                with staged_folder(target) as staging:
                    step("write")
                    _write(staging, model, dtype, further, single_file, token_type_ids)
                    inherited = model.card
                    del model  # the check maps what was written
                    step("check")
                    checked = _check(staging, output)
                    step("done")
                    card = model_card(open_artifact(staging).manifest, checked, inherited)
                    (staging / fmt.CARD).write_text(card, encoding="utf-8")
        except OSError as error:
            raise ExportError(f"{output}: cannot be written ({error.strerror or error})") from error
    return Path(output)


def _check_arguments(dtype: str, **numbers: object) -> None:
    if dtype not in fmt.DTYPES:
        raise ExportError(f"dtype {dtype!r} is unknown, expected one of {', '.join(fmt.DTYPES)}")
    for name, value in numbers.items():
        if value is None or value == "model":
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ExportError(f"{name} is {value!r}, expected a whole number of 1 or more")


def _further_types(dtype: str, variants: Sequence[str]) -> list[str]:
    """Return the types beside `dtype`, each once."""
    if isinstance(variants, str):
        raise ExportError(f"variants is {variants!r}, expected a list of types, as [{variants!r}]")
    for variant in variants:
        if variant not in fmt.DTYPES:
            known = ", ".join(fmt.DTYPES)
            raise ExportError(f"variants has {variant!r}, which is unknown, expected some of {known}")
    further = [known for known in fmt.DTYPES if known in variants and known != dtype]
    if "float32" in further:
        raise ExportError(
            f"variants has float32, which consumers look for in {fmt.GRAPH}, where dtype {dtype} would be; "
            "leave out one of them"
        )
    return further


def _write(
    folder: Path,
    source: SourceModel,
    dtype: str,
    further: list[str],
    single_file: bool,
    token_type_ids: bool,
) -> None:
    """Write a whole artifact into the empty `folder`."""
    model = source.static_model
    write = partial(
        _write_type, folder, source, model.embedding, single_file=single_file, token_type_ids=token_type_ids
    )
    cost = write(dtype, fmt.GRAPH, fmt.CONFORMANCE)
    variants = {}
    for name in further:
        graph, conformance = fmt.VARIANT_GRAPHS[name], f"conformance.{name}.json"
        variants[name] = Variant(graph, conformance, write(name, graph, conformance))
    graphs = [fmt.GRAPH, *(variant.graph for variant in variants.values())]
    write_consumer_files(folder, source, graphs=graphs, single_file=single_file)

    manifest = Manifest(
        source=source.origin,
        reference=REFERENCE,
        dim=model.dim,
        dtype=dtype,
        vocabulary_size=source.vocabulary_size,
        normalize=model.normalize,
        max_length=model.max_length,
        max_characters=source.max_characters,
        unk_id=model.unk_token_id,
        vocabulary_quantization=None if model.token_mapping is None else len(model.embedding),
        tokenizer=_tokenizer_facts(source),
        head=source.head.head if source.head else None,
        quality=cost,
        variants=variants,
    )
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        record = FileRecord(path.stat().st_size, sha256_of(path))
        manifest.files[path.relative_to(folder).as_posix()] = record
    (folder / fmt.MANIFEST).write_text(manifest.to_json(), encoding="utf-8")


def _write_type(
    folder: Path,
    source: SourceModel,
    embedding: Any,
    dtype: str,
    graph: str,
    conformance: str,
    *,
    single_file: bool,
    token_type_ids: bool,
) -> Quality | None:
    """Write the graph with its table in one type, and the vectors recorded for it; return what it costs."""
    model = source.static_model
    model.embedding = embedding
    table = make_table(model, dtype)
    write_graph(
        folder,
        table,
        unk_id=model.unk_token_id,
        normalize=model.normalize,
        head=source.head,
        single_file=single_file,
        graph=graph,
        max_length=model.max_length,
        token_type_ids=token_type_ids,
    )
    texts = conformance_texts(model.max_length, source.max_characters)
    exact = model is source.original and table.holds(embedding)
    larger = [] if exact else paragraphs()
    original = [source.original.encode(some) for some in (texts, larger) if some and not exact]
    # The reference is model2vec on the values that the table really holds.
    model.embedding = table.decoded
    stored = [model.encode(some).astype(np.float32) for some in (texts, larger) if some]
    embeddings = stored[0]
    logits = source.head.reference(embeddings) if source.head else None
    recorded = Conformance(texts, source.token_ids(texts), embeddings, logits)
    (folder / conformance).write_text(recorded.to_json(REFERENCE), encoding="utf-8")
    return None if exact else quality(*zip(original, stored, strict=True))


def _check(staging: Path, output: str | os.PathLike[str]) -> Verification:
    try:
        return verify(staging)
    except ArtifactError as error:  # the staging folder is gone when this is read
        raise ArtifactError(str(error).replace(str(staging), str(output))) from error


def _tokenizer_facts(source: SourceModel) -> TokenizerFacts:
    config = json.loads(source.tokenizer_path.read_text(encoding="utf-8"))
    return TokenizerFacts(config["model"]["type"])
