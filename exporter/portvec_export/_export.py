"""export_model: source -> table -> graph -> staged folder -> checks -> artifact."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Literal

import numpy as np
from tqdm import tqdm

from portvec import _format as fmt
from portvec._artifact import open_artifact, sha256_of
from portvec._conformance import Conformance
from portvec._encoders import splits_at_spaces
from portvec._manifest import FileRecord, Manifest, TokenizerFacts
from portvec._staging import check_target, exclusive, staged_folder
from portvec._verify import verify
from portvec.errors import ExportError
from portvec_export._conformance_texts import conformance_texts
from portvec_export._consumer_files import write_consumer_files
from portvec_export._graph_writer import write_graph
from portvec_export._model_card import model_card
from portvec_export._quality import paragraphs, quality
from portvec_export._source_model import REFERENCE, SourceModel, load_source
from portvec_export._tables import make_table


def export_model(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    dtype: str = "float32",
    dim: int | None = None,
    normalize: bool | None = None,
    max_length: int | Literal["model"] | None = "model",
    revision: str | None = None,
    token: str | bool | None = None,
    subfolder: str | None = None,
    single_file: bool = False,
    overwrite: bool = False,
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
        normalize: whether embeddings get unit length; as the model says if None.
        max_length: tokens kept of a text, None for all; the model's own limit by default.
        revision: branch, tag or commit on the Hub.
        token: Hub access token; True or None use the one that huggingface_hub finds.
        subfolder: folder inside the repository or local folder.
        single_file: put the table inside model.onnx, for consumers that load a graph from bytes.
        overwrite: replace `output` if it is an artifact.

    Returns:
        The path of the artifact folder.

    Raises:
        SourceError: the source does not exist, cannot be fetched or is no sound Model2Vec model.
        ExportError: an argument is out of range, `output` is taken or cannot be written.
        ArtifactError: the written artifact does not reproduce model2vec; nothing was kept.
    """
    _check_arguments(dtype, dim, max_length)
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
                    _write(staging, model, dtype, single_file)
                    step("check")
                    checked = verify(staging)
                    step("done")
                    card = model_card(open_artifact(staging).manifest, checked, model.card)
                    (staging / fmt.CARD).write_text(card, encoding="utf-8")
        except OSError as error:
            raise ExportError(f"{output}: cannot be written ({error.strerror or error})") from error
    return Path(output)


def _check_arguments(dtype: str, dim: object, max_length: object) -> None:
    if dtype not in fmt.DTYPES:
        raise ExportError(f"dtype {dtype!r} is unknown, expected one of {', '.join(fmt.DTYPES)}")
    for name, value in {"dim": dim, "max_length": max_length}.items():
        if value is None or value == "model":
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ExportError(f"{name} is {value!r}, expected a whole number of 1 or more")


def _write(folder: Path, source: SourceModel, dtype: str, single_file: bool) -> None:
    """Write a whole artifact into the empty `folder`."""
    model = source.static_model
    table = make_table(model, dtype)
    write_graph(
        folder,
        table,
        unk_id=model.unk_token_id,
        normalize=model.normalize,
        head=source.head,
        single_file=single_file,
    )
    write_consumer_files(folder, source, single_file=single_file)

    texts = conformance_texts(model.max_length, source.max_characters)
    exact = np.array_equal(table.decoded, model.embedding)
    larger = [] if exact else paragraphs()
    original = [model.encode(some) for some in (texts, larger) if some]
    # The reference is model2vec on the values that the table really holds.
    model.embedding = table.decoded
    stored = [model.encode(some).astype(np.float32) for some in (texts, larger) if some]
    embeddings = stored[0]
    cost = None if exact else quality(*zip(original, stored, strict=True))
    logits = source.head.reference(embeddings) if source.head else None
    recorded = Conformance(texts, source.token_ids(texts), embeddings, logits)
    (folder / fmt.CONFORMANCE).write_text(recorded.to_json(REFERENCE), encoding="utf-8")

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
        tokenizer=_tokenizer_facts(source),
        head=source.head.head if source.head else None,
        quality=cost,
    )
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        record = FileRecord(path.stat().st_size, sha256_of(path))
        manifest.files[path.relative_to(folder).as_posix()] = record
    (folder / fmt.MANIFEST).write_text(manifest.to_json(), encoding="utf-8")


def _tokenizer_facts(source: SourceModel) -> TokenizerFacts:
    config = json.loads(source.tokenizer_path.read_text(encoding="utf-8"))
    return TokenizerFacts(config["model"]["type"], splits_at_spaces(config))
