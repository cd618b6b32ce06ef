"""Parsing the manifest: its fields have the right types, and values that an artifact can have."""

from __future__ import annotations

from pathlib import PurePosixPath

from portvec._artifact import format as fmt
from portvec._artifact.dtypes import DTYPES
from portvec._artifact.files import parse_json
from portvec._artifact.json_fields import JsonFields
from portvec._artifact.layers import check_layers
from portvec._artifact.manifest import (
    Cosine,
    FileRecord,
    Head,
    Manifest,
    Quality,
    Source,
    TokenizerFacts,
    Variant,
)
from portvec._artifact.prompts import all_prompts, has_surrogate
from portvec._messages import describe_unknown
from portvec.errors import ArtifactError

# Token ids, and the id after the last one, are int32 in the graphs. Limits of texts are numbers that every
# reader of JSON can hold.
_MAX_INT32 = 2**31 - 1
_MAX_JSON = 2**53 - 1
_RANGES = {
    "dim": (1, _MAX_INT32),
    "table_dim": (1, _MAX_INT32),
    "vocabulary_size": (1, _MAX_INT32),
    "vocabulary_quantization": (1, _MAX_INT32),
    "unk_id": (0, _MAX_INT32),
    "max_length": (0, _MAX_JSON),
    "max_characters": (0, _MAX_JSON),
}


def parse_manifest(text: str | bytes, where: str) -> Manifest:
    """Parse the text of portvec.json; `where` names it in errors.

    Raises:
        ArtifactError: it is not JSON, has an unknown format version, or a field is missing,
            has the wrong type or an impossible value.
    """
    try:
        document = parse_json(text)
    except ValueError as error:
        raise ArtifactError(f"{where}: not valid JSON ({error}); export the model again") from error
    if not isinstance(document, dict) or document.get("format") != fmt.FORMAT_NAME:
        raise ArtifactError(f'{where}: not a portvec manifest, "format" is not "{fmt.FORMAT_NAME}"')
    version = document.get("format_version")
    # In Python, true and 2.0 are equal to such numbers.
    if type(version) is not int or version not in (1, fmt.FORMAT_VERSION):
        raise ArtifactError(
            f"{where}: artifact format version {version!r}, but this portvec reads versions 1 and "
            f"{fmt.FORMAT_VERSION}; upgrade portvec, or export the model again"
        )
    manifest = _parse(JsonFields(document, where))
    newer = [name for name in ("layers", "prompts", "default_prompt_name") if getattr(manifest, name)]
    if version == 1 and newer:
        raise ArtifactError(
            f"{where}: has {newer[0]}, which format version {version} does not have; export the model again"
        )
    _check(manifest, where)
    return manifest


def _parse(fields: JsonFields) -> Manifest:
    tokenizer = fields.object("tokenizer")
    source = fields.object("source")
    quality = fields.nullable_object("quality")
    head = fields.nullable_object("head")
    variants = fields.object("variants", default={})
    text_inputs = fields.object("text_inputs", default={})
    files = fields.object("files")
    dim = fields.get("dim", int)
    return Manifest(
        source=Source(
            id=source.get("id", str),
            revision=source.get("revision", str, nullable=True),
            subfolder=source.get("subfolder", str, nullable=True),
            sha256=source.get("sha256", dict),
        ),
        reference=fields.get("reference", str),
        dim=dim,
        table_dim=fields.get("table_dim", int, default=dim),
        dtype=fields.get("dtype", str),
        vocabulary_size=fields.get("vocabulary_size", int),
        normalize=fields.get("normalize", bool),
        max_length=fields.get("max_length", int, nullable=True),
        max_characters=fields.get("max_characters", int, nullable=True),
        unk_id=fields.get("unk_id", int, nullable=True),
        vocabulary_quantization=fields.get("vocabulary_quantization", int, nullable=True),
        tokenizer=TokenizerFacts(
            tokenizer.get("model", str),
            tokenizer.get("not_compiled", str, nullable=True, default="an older portvec exported it"),
        ),
        quality=_parse_quality(quality) if quality else None,
        head=_parse_head(head) if head else None,
        layers=fields.get("layers", list, default=[]),
        prompts=fields.get("prompts", dict, default={}),
        default_prompt_name=fields.get("default_prompt_name", str, nullable=True, default="") or None,
        variants={
            _check_dtype(dtype, variants.where): _parse_variant(variants.object(dtype)) for dtype in variants
        },
        text_inputs={kind: text_inputs.get(kind, str) for kind in text_inputs},
        files={path: _parse_record(files.object(path)) for path in files},
    )


def _parse_quality(fields: JsonFields) -> Quality:
    return Quality(_parse_cosine(fields.object("conformance")), _parse_cosine(fields.object("paragraphs")))


def _parse_cosine(fields: JsonFields) -> Cosine:
    return Cosine(fields.get("texts", int), fields.get("min", float), fields.get("mean", float))


def _parse_variant(fields: JsonFields) -> Variant:
    graph, conformance = fields.get("graph", str), fields.get("conformance", str)
    quality = fields.nullable_object("quality")
    return Variant(graph, conformance, _parse_quality(quality) if quality else None)


def _parse_head(fields: JsonFields) -> Head:
    return Head(
        fields.get("activation", str), fields.get("classes", list, nullable=True), fields.get("outputs", int)
    )


def _parse_record(fields: JsonFields) -> FileRecord:
    return FileRecord(fields.get("size", int), fields.get("sha256", str))


def _check_dtype(dtype: str, where: str) -> str:
    """Return a dtype that this version knows."""
    if dtype not in DTYPES:
        raise ArtifactError(f"{where}: {describe_unknown('dtype', dtype, DTYPES)}")
    return dtype


def _check(manifest: Manifest, where: str) -> None:
    """Refuse values that no artifact can have."""
    for name, (least, most) in _RANGES.items():
        value = getattr(manifest, name)
        if value is not None and not least <= value <= most:
            raise ArtifactError(f"{where}: {name} is {value}, expected {least} to {most}; export again")
    if manifest.unk_id is not None and manifest.unk_id >= manifest.vocabulary_size:
        raise ArtifactError(
            f"{where}: unk_id is {manifest.unk_id}, expected less than vocabulary_size, which is "
            f"{manifest.vocabulary_size}; export again"
        )
    _check_dtype(manifest.dtype, where)
    head = manifest.head
    if head and head.activation not in fmt.ACTIVATIONS:
        raise ArtifactError(
            f"{where}: head: {describe_unknown('activation', head.activation, fmt.ACTIVATIONS)}"
        )
    if head and (head.outputs < 1 or (head.classes is not None and len(head.classes) != head.outputs)):
        raise ArtifactError(f"{where}: head: {head.outputs} outputs do not fit the classes; export again")
    if head and manifest.layers:
        raise ArtifactError(f"{where}: has a head and layers, expected at most one of them; export again")
    for name, prompt in manifest.prompts.items():
        if not isinstance(prompt, str):
            raise ArtifactError(
                f"{where}: prompts: {name} has type {type(prompt).__name__}, expected str; export again"
            )
        if has_surrogate(name + prompt):
            raise ArtifactError(
                f"{where}: prompts: {name!r} holds a lone surrogate, which is not text; export again"
            )
    default, prompts = manifest.default_prompt_name, all_prompts(manifest.prompts)
    if default is not None and default not in prompts:
        raise ArtifactError(f"{where}: {describe_unknown('default_prompt_name', default, prompts)}")
    check_layers(manifest.layers, manifest.table_dim, manifest.dim, where)
    for kind in manifest.text_inputs:
        if kind not in fmt.TEXT_INPUTS:
            raise ArtifactError(f"{where}: text_inputs: {describe_unknown('kind', kind, fmt.TEXT_INPUTS)}")
    for path in manifest.files:
        parts = PurePosixPath(path).parts
        if path.startswith("/") or "\\" in path or ":" in path or ".." in parts or not parts:
            raise ArtifactError(
                f"{where}: file path {path!r} leaves the artifact folder; do not use this artifact"
            )
        if not path.isprintable():  # huggingface_hub's progress bars show names as they are
            raise ArtifactError(
                f"{where}: file path {path!r} has characters that cannot be printed; do not use this artifact"
            )
    variant_files = [path for each in manifest.variants.values() for path in (each.graph, each.conformance)]
    listed = (fmt.GRAPH, fmt.TOKENIZER, fmt.CONFORMANCE, *variant_files, *manifest.text_inputs.values())
    for path in listed:
        if path not in manifest.files:
            raise ArtifactError(f"{where}: files does not list {path!r}; export the model again")
    # A row takes a byte or more, so a larger number is wrong, and a reader might allocate memory for it.
    table = manifest.files.get(fmt.data_of(fmt.GRAPH), manifest.files[fmt.GRAPH])
    if manifest.vocabulary_size > table.size:
        raise ArtifactError(
            f"{where}: vocabulary_size is {manifest.vocabulary_size}, but its table has {table.size} bytes; "
            "copy the folder again, or export again"
        )
