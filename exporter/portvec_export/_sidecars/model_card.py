"""The artifact's README.md: front matter for the Hub, figures from the manifest, usage per consumer."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import yaml

from portvec._artifact import format as fmt
from portvec._artifact.layers import describe_layers, has_unit_length
from portvec._artifact.manifest import Manifest
from portvec._artifact.prompts import describe_prompts
from portvec._inference.verify import Verification
from portvec_export._sidecars import usage

_TAGS = ["model2vec", "static-embeddings", "embeddings", "onnx"]


def render_model_card(manifest: Manifest, checked: Verification, front_matter: dict[str, Any]) -> str:
    """Return the card of an artifact.

    Args:
        manifest: the manifest of the artifact.
        checked: the result of verifying it.
        front_matter: the part of the source's front matter that holds for the artifact too.
    """
    parts = [
        _introduction(manifest),
        _figures(manifest, checked),
        _files(manifest),
        usage.render_sections(manifest),
    ]
    return f"---\n{_front_matter(manifest, front_matter)}\n---\n\n" + "\n\n".join(parts) + "\n"


def _front_matter(manifest: Manifest, front_matter: dict[str, Any]) -> str:
    # The Hub's and Transformers.js's names of tasks. They have none for text regression.
    task: str | None = "sentence-similarity"
    if manifest.head is not None:
        task = "text-classification" if manifest.head.classes else None
    tags = [*_TAGS, *([] if manifest.head else ["transformers.js"])]
    values = {"library_name": fmt.FORMAT_NAME, "pipeline_tag": task, "tags": tags, **front_matter}
    given = {name: value for name, value in values.items() if value is not None}
    matter: str = yaml.safe_dump(given, sort_keys=False, allow_unicode=True)
    return matter.rstrip()


def _introduction(manifest: Manifest) -> str:
    source = manifest.source
    name = PurePosixPath(source.id).name
    model = f"[{source.id}](https://huggingface.co/{source.id})" if source.revision else f"`{source.id}`"
    folder = f", folder `{source.subfolder}`" if source.subfolder else ""
    commit = f", commit `{source.revision}`" if source.revision else ""
    return (
        f"# {name} for ONNX\n\n"
        f"The Model2Vec model {model}{folder}{commit}, as an ONNX graph with its tokenizer. "
        f"portvec exported it, and compared it with {manifest.verified_against}."
    )


def _figures(manifest: Manifest, checked: Verification) -> str:
    unit = "unit length" if has_unit_length(manifest) else "not normalized"
    limit = "no limit" if manifest.max_length is None else f"{manifest.max_length} tokens"
    quality, head = manifest.quality, manifest.head
    rows = {
        "embedding": f"{manifest.dim} x float32, {unit}",
        "vocabulary": f"{manifest.vocabulary_size:,} tokens, {manifest.tokenizer.model}",
        "table": manifest.dtype,
        "maximum length": limit,
    }
    if manifest.layers:
        rows["after the mean"] = describe_layers(manifest)
    if manifest.prompts:
        prompts = _in_cell(describe_prompts(manifest))
        rows["prompts"] = f"{prompts}; `encode_queries` and `encode_documents` put theirs before texts"
    if head is not None:
        labels = f"{head.outputs} outputs" if head.classes is None else ", ".join(map(str, head.classes))
        rows["head"] = _in_cell(f"{head.activation}: {labels}")
    rows["exactness"] = (
        f"{checked.texts} recorded texts: token ids identical to those of {manifest.verified_against}, "
        f"vectors within {checked.largest_difference:.1e} of theirs for the same table"
    )
    if quality is None:
        rows["quality"] = "the table holds the model's values exactly"
    else:
        rows["quality"] = (
            f"cosine to the model's float32 embeddings over {quality.paragraphs.texts:,} paragraphs of "
            f"Python's language reference: mean {quality.paragraphs.mean:.5f}, "
            f"minimum {quality.paragraphs.min:.5f}"
        )
    return _table(("what", "value"), rows)


def _in_cell(text: str) -> str:
    """Return text that does not end the cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def _files(manifest: Manifest) -> str:
    shown = {
        f"`{name}`": f"{record.size:,}"
        for name, record in sorted(manifest.files.items())
        if name.startswith("onnx/") or name in (fmt.RUNTIME_GRAPH, fmt.TOKENIZER)
    }
    return _table(("file", "bytes"), {**shown, "all": f"{manifest.size:,}"})


def _table(head: tuple[str, str], rows: dict[str, str]) -> str:
    return "\n".join(f"| {name} | {value} |" for name, value in [head, ("---", "---"), *rows.items()])
