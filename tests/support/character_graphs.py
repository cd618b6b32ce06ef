"""An artifact whose tokens are characters, with graphs with text input that are small enough to read."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

import tiny_models
from damage import edit
from portvec._artifact import format as fmt
from portvec._artifact.folder import open_artifact
from portvec_export import export_model
from portvec_export._onnx.builder import Graph
from portvec_export._onnx.operators import Value
from portvec_export._text_input.arrays.flat import OPSET
from portvec_export._text_input.code_points import add_code_points

CHARACTERS = "abcdefghij \0\n\u00e9\u4e2d\U0001f600"
_KINDS = tuple(fmt.TEXT_INPUTS)


def export(folder: Path, kinds: tuple[str, ...] = _KINDS, **options: Any) -> Path:
    """Write an artifact with graphs of these kinds, and return its folder. `options` are its export's."""
    vocabulary = {"[UNK]": 0, **{character: index for index, character in enumerate(CHARACTERS, 1)}}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("(?m)."), "isolated")
    vectors = tiny_models.vectors(len(vocabulary))
    model = tiny_models.save(folder / "model", tokenizer=tokenizer, vectors=vectors)
    artifact = export_model(model, folder / "artifact", **options)
    manifest = open_artifact(artifact).manifest
    for kind in kinds:
        graph = build(kind, vectors, manifest.max_characters, manifest.max_length)
        add(artifact, kind, graph.to_model())
    return artifact


def add(artifact: Path, kind: str, model: onnx.ModelProto) -> None:
    """Add a graph to an artifact, or replace it, and fix the manifest."""
    name, content = fmt.TEXT_GRAPHS[kind], model.SerializeToString()
    (artifact / name).write_bytes(content)
    record = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    edit(artifact, lambda manifest: manifest.setdefault("text_inputs", {}).update({kind: name}))
    edit(artifact, lambda manifest: manifest["files"].update({name: record}))


def build(kind: str, vectors: npt.NDArray[Any], max_characters: int | None, max_length: int | None) -> Graph:
    """Return the graph: the id of a character is its place in CHARACTERS, and others are left out."""
    graph = Graph(OPSET)
    if kind == fmt.STRINGS:
        points = add_code_points(graph, graph.input("text", np.object_, ["batch_size"]))
    else:
        points = graph.input("codepoints", np.int32, ["batch_size", "length"])
    points = graph.slice(points, 0, max_characters or 2**31, axis=1)
    points = graph.slice(points, 0, max_length or 2**31, axis=1)
    # The last row is that of all characters beyond.
    ids_of = np.zeros(max(map(ord, CHARACTERS)) + 2, dtype=np.int64)
    ids_of[[ord(character) for character in CHARACTERS]] = np.arange(1, len(CHARACTERS) + 1)
    rows = graph.minimum(graph.maximum(points, np.int32(0)), np.int32(len(ids_of) - 1))
    ids = graph.gather(graph.tensor("ids_of", ids_of), rows)
    kept = graph.node(
        "And", graph.node("Greater", points, np.int32(-1)), graph.node("Greater", ids, np.int64(0))
    )
    places = graph.node("CumSum", graph.cast(kept, np.int64), np.int64(1))
    places = graph.where(
        kept, graph.sub(places, np.int64(1)), graph.gather(graph.node("Shape", ids), np.int64(1))
    )
    # One column more than there are characters takes what is left out.
    wide = graph.concat(
        ids, graph.slice(graph.node("Pad", ids, np.array([0, 0, 0, 1])), -1, 2**31, axis=1), axis=1
    )
    empty = graph.sub(graph.mul(wide, np.int64(0)), np.int64(1))
    padded = graph.slice(graph.node("ScatterElements", empty, places, ids, axis=1), 0, -1, axis=1)
    total = _sum(graph, graph.tensor("vectors", vectors), padded)
    length = graph.node("ReduceL2", total, np.array([1]), keepdims=1)
    embedding = graph.div(total, graph.add(length, np.float32(1e-32)))
    graph.output(fmt.INPUT_IDS, graph.identity(padded), np.int64, ["batch_size", "length"])
    graph.output(fmt.SENTENCE_EMBEDDING, embedding, np.float32, ["batch_size", vectors.shape[1]])
    return graph


def _sum(graph: Graph, vectors: Value, ids: Value) -> Value:
    rows = graph.gather(vectors, graph.maximum(ids, np.int64(0)))
    is_id = graph.cast(graph.node("Greater", ids, np.int64(-1)), np.float32)
    return graph.reduce_sum(graph.mul(rows, graph.unsqueeze(is_id, 2)), axis=1)
