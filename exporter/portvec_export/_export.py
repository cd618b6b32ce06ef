"""export_model: source -> table -> graph -> staged folder -> checks -> artifact."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Literal

import numpy as np
from tqdm import tqdm

from portvec import _format as fmt
from portvec._artifact import sha256_of
from portvec._conformance import Conformance
from portvec._encoders import splits_at_spaces
from portvec._manifest import FileRecord, Manifest, TokenizerFacts
from portvec._staging import exclusive, staged_folder
from portvec._verify import verify
from portvec.errors import ArtifactError, ExportError
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
    vocabulary_size: int | None = None,
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
        vocabulary_size: number of vectors that all token ids share, found by model2vec's k-means; each id has
            its own if None. Takes minutes for large models, and the extra `vocabulary`.
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
        MissingExtraError: `vocabulary_size` is given, and scikit-learn is not installed.
        ExportError: an argument is out of range, `output` is taken or cannot be written.
        ArtifactError: the written artifact does not reproduce model2vec; nothing was kept.
    """
    _check_arguments(dtype, dim=dim, vocabulary_size=vocabulary_size, max_length=max_length)
    target = Path(output).expanduser().resolve()
    _check_target(target, overwrite)
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
                _check_target(target, overwrite)
                with staged_folder(target) as staging:
                    step("write")
                    _write(staging, model, dtype, single_file)
                    del model  # the check maps what was written
                    step("check")
                    _check(staging, output)
                    step("done")
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


def _check_target(target: Path, overwrite: bool) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise ExportError(f"{target}: is a file, expected a folder to make; choose another output")
    if not any(target.iterdir()):
        return
    if not overwrite:
        raise ExportError(f"{target}: exists and is not empty; choose another output, or pass --overwrite")
    if not (target / fmt.MANIFEST).is_file():
        raise ExportError(
            f"{target}: holds files but no {fmt.MANIFEST}, so it is no artifact and --overwrite will not "
            "delete it; choose another output"
        )


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
    exact = model is source.original and table.holds(model.embedding)
    larger = [] if exact else paragraphs()
    original = [source.original.encode(some) for some in (texts, larger) if some and not exact]
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
        vocabulary_quantization=None if model.token_mapping is None else len(model.embedding),
        tokenizer=_tokenizer_facts(source),
        head=source.head.head if source.head else None,
        quality=cost,
    )
    (folder / "README.md").write_text(model_card(manifest, model.language), encoding="utf-8")
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        record = FileRecord(path.stat().st_size, sha256_of(path))
        manifest.files[path.relative_to(folder).as_posix()] = record
    (folder / fmt.MANIFEST).write_text(manifest.to_json(), encoding="utf-8")


def _check(staging: Path, output: str | os.PathLike[str]) -> None:
    try:
        verify(staging)
    except ArtifactError as error:  # the staging folder is gone when this is read
        raise ArtifactError(str(error).replace(str(staging), str(output))) from error


def _tokenizer_facts(source: SourceModel) -> TokenizerFacts:
    config = json.loads(source.tokenizer_path.read_text(encoding="utf-8"))
    return TokenizerFacts(config["model"]["type"], splits_at_spaces(config))
