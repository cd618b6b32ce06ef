"""An artifact in words, for the command line."""

from __future__ import annotations

from portvec._artifact.folder import Artifact
from portvec._artifact.layers import describe_layers, has_unit_length
from portvec._artifact.manifest import Head, Manifest, Quality
from portvec._artifact.prompts import describe_prompts
from portvec._tokenization.selection import COMPILED, choose_tokenizer, why_not_compiled


def summarize(artifact: Artifact) -> str:
    """Return the line that `export` ends with."""
    manifest = artifact.manifest
    return (
        f"{artifact.folder}: {_describe_table(manifest)}, {manifest.size / 1e6:.1f} MB, "
        + (f"{_describe_quality(manifest.quality)}, " if manifest.quality else "")
        + f"verified against {manifest.verified_against}"
    )


def describe(artifact: Artifact) -> dict[str, str]:
    """Return what an artifact holds and where it came from, by the names that `info` prints."""
    manifest = artifact.manifest
    source = manifest.source
    described = {
        "model": " ".join(filter(None, [source.id, source.revision, source.subfolder])),
        "reference": manifest.reference,
        "embedding": f"{manifest.dim} x float32, "
        + ("unit length" if has_unit_length(manifest) else "not normalized"),
        "layers": describe_layers(manifest),
        "table": f"{manifest.dtype}, {_describe_vocabulary(manifest)}",
        "tokenizer": _describe_tokenizer(artifact),
        "truncation": _describe_truncation(manifest),
        "unknown token": "none is left out" if manifest.unk_id is None else f"id {manifest.unk_id}, left out",
        "prompts": describe_prompts(manifest),
        "quality": _describe_quality(manifest.quality),
        **{f"also {dtype}": _describe_variant(manifest, dtype) for dtype in manifest.variants},
        "text input": _describe_text_inputs(manifest),
        "head": _describe_head(manifest.head),
        "size": f"{manifest.size / 1e6:.1f} MB in {len(artifact.list_files())} files",
        "format": f"version {manifest.format_version}",
    }
    return {name: value for name, value in described.items() if value}


def _describe_truncation(manifest: Manifest) -> str:
    tokens, characters = manifest.max_length, manifest.max_characters
    limits = [f"first {tokens} tokens"] if tokens is not None else []
    limits += [f"first {characters:,} characters"] if characters is not None else []
    return " of the ".join(limits) or "none"


def _describe_table(manifest: Manifest) -> str:
    shared = manifest.vocabulary_quantization
    types = " + ".join([manifest.dtype, *manifest.variants])
    size = f"{shared or manifest.vocabulary_size:,} x {manifest.table_dim} {types}"
    return size + (f" for {manifest.vocabulary_size:,} token ids" if shared else "")


def _describe_vocabulary(manifest: Manifest) -> str:
    shared = manifest.vocabulary_quantization
    return f"{manifest.vocabulary_size:,} token ids" + (f" sharing {shared:,} vectors" if shared else "")


def _describe_tokenizer(artifact: Artifact) -> str:
    name = choose_tokenizer(artifact, at_once=True).name
    reason = why_not_compiled(artifact.manifest)
    by = "the compiled vocabulary" if name == COMPILED else name
    return f"{artifact.manifest.tokenizer.model}, by {by}" + (f" (not compiled: {reason})" if reason else "")


def _describe_quality(quality: Quality | None) -> str:
    if quality is None:
        return ""
    sets = {"paragraphs": quality.paragraphs, "recorded texts": quality.conformance}
    return "cosine to float32 " + ", ".join(
        f"{found.mean:.5f} (minimum {found.min:.5f}) on {found.texts:,} {name}"
        for name, found in sets.items()
    )


def _describe_variant(manifest: Manifest, dtype: str) -> str:
    variant = manifest.variants[dtype]
    size = sum(record.size for name, record in manifest.files.items() if name.startswith(variant.graph))
    parts = [variant.graph, f"{size / 1e6:.1f} MB", _describe_quality(variant.quality)]
    return ", ".join(filter(None, parts))


def _describe_text_inputs(manifest: Manifest) -> str:
    return ", ".join(
        f"{path} ({kind}), {manifest.files[path].size / 1e6:.1f} MB"
        for kind, path in manifest.text_inputs.items()
    )


def _describe_head(head: Head | None) -> str:
    if head is None:
        return ""
    if head.classes is None:
        return f"regressor with {head.outputs} outputs"
    some = ", ".join(map(str, head.classes[:8])) + (", ..." if len(head.classes) > 8 else "")
    return f"{head.activation} over {len(head.classes)} classes: {some}"
