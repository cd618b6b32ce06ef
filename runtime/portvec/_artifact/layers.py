"""The layers of a manifest: what the mean of the token vectors passes through before it is the embedding."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from portvec._artifact import format as fmt
from portvec._artifact.json_fields import JsonFields
from portvec._artifact.manifest import Manifest
from portvec._messages import describe_unknown
from portvec.errors import ArtifactError

_MAX_WIDTH = 2**31 - 1
_MAX_LAYERS = 1000


def check_layers(layers: Sequence[Any], table_dim: int, dim: int, where: str) -> None:
    """Check that layers are known, and lead from token vectors (table_dim,) to embeddings (dim,).

    Raises:
        ArtifactError: there are too many layers, or one is not a JSON object, is unknown, has a missing or
            impossible value, or does not fit its neighbours. The message begins with `where`.
    """
    if len(layers) > _MAX_LAYERS:
        raise ArtifactError(
            f"{where}: has {len(layers)} layers, expected at most {_MAX_LAYERS}; export again"
        )
    width = table_dim
    for index, layer in enumerate(layers):
        place = f"{where}: layers: {index}"
        if not isinstance(layer, dict):
            raise ArtifactError(f"{place} has type {type(layer).__name__}, expected dict; export again")
        width = _check_layer(JsonFields(layer, place), width)
    if width != dim:
        made = "what the layers make of table_dim" if layers else "that of the table (table_dim)"
        raise ArtifactError(f"{where}: dim is {dim}, expected {width}, {made}; export again")


def _check_layer(fields: JsonFields, width: int) -> int:
    """Return the number of outputs of a layer that gets `width` inputs."""
    kind = fields.get("type", str)
    if kind == "dense":
        return _check_dense(fields, width)
    if kind == "unit_length":
        least = fields.get("least", float)
        if not 0 < least < math.inf:
            raise ArtifactError(f"{fields.where}: least is {least}, expected a positive number; export again")
    elif kind not in fmt.LAYERS:
        raise ArtifactError(f"{fields.where}: {describe_unknown('type', kind, fmt.LAYERS)}")
    return width


def _check_dense(fields: JsonFields, width: int) -> int:
    inputs, outputs = fields.get("inputs", int), fields.get("outputs", int)
    if inputs != width:
        raise ArtifactError(
            f"{fields.where}: inputs is {inputs}, expected {width}, the width before it; export again"
        )
    if not 1 <= outputs <= _MAX_WIDTH:
        raise ArtifactError(f"{fields.where}: outputs is {outputs}, expected 1 to {_MAX_WIDTH}; export again")
    activation = fields.get("activation", str)
    if activation not in fmt.LAYER_ACTIVATIONS:
        raise ArtifactError(
            f"{fields.where}: {describe_unknown('activation', activation, fmt.LAYER_ACTIVATIONS)}"
        )
    fields.get("residual", bool)
    return int(outputs)


def check_layer_tensors(manifest: Manifest, shapes: Mapping[str, tuple[int, ...]], where: str) -> None:
    """Check that a graph with tensors of these `shapes`, by name, has those of the manifest's layers.

    Raises:
        ArtifactError: it has not, or has others. The message begins with `where`.
    """
    prefix = "layers."
    found = {name: shape for name, shape in shapes.items() if name.startswith(prefix)}
    expected: dict[str, tuple[int, ...]] = {}
    width = manifest.table_dim
    for index, layer in enumerate(manifest.layers):
        name = f"{prefix}{index}"
        if layer["type"] == "dynamic_tanh":
            expected.update({f"{name}.{kind}": (width,) for kind in ("alpha", "bias", "weight")})
        elif layer["type"] == "dense":
            matrix = (layer["outputs"], layer["inputs"])
            expected[f"{name}.weight"] = matrix
            if layer["residual"]:
                expected[f"{name}.residual"] = matrix
            if f"{name}.bias" in found:  # which a layer need not have
                expected[f"{name}.bias"] = matrix[:1]
            width = layer["outputs"]
    for name in sorted(found.keys() | expected.keys()):
        got, want = (each.get(name, "none") for each in (found, expected))
        if got != want:
            raise ArtifactError(
                f"{where}: the shape of the tensor {name} is {got}, expected {want} for the layers "
                "of portvec.json; do not use this artifact, or export the model again"
            )


def tolerance_after(layers: Sequence[dict[str, Any]]) -> float:
    """Return how much embeddings may differ from the recorded ones after these layers."""
    return fmt.DENSE_TOLERANCE if any(layer["type"] == "dense" for layer in layers) else fmt.TOLERANCE


def values_after(manifest: Manifest) -> int:
    """Return how many values the layers compute for a text, all together."""
    width, total = manifest.table_dim, 0
    for layer in manifest.layers:
        width = layer["outputs"] if layer["type"] == "dense" else width
        total += width
    return total


def has_unit_length(manifest: Manifest) -> bool:
    """Return whether embeddings have unit length."""
    return manifest.layers[-1]["type"] == "unit_length" if manifest.layers else manifest.normalize


def describe_layers(manifest: Manifest) -> str:
    """Return layers in words, such as "unit length, dense 256 to 128 with tanh", or "" if there are none."""
    first = ["unit length"] if manifest.layers and manifest.normalize else []
    return ", ".join([*first, *map(_describe, manifest.layers)])


def _describe(layer: dict[str, Any]) -> str:
    if layer["type"] != "dense":
        return str(layer["type"]).replace("_", " ")
    activation = "" if layer["activation"] == "identity" else f" with {layer['activation']}"
    residual = " and a residual connection" if layer["residual"] else ""
    return f"dense {layer['inputs']} to {layer['outputs']}{activation}{residual}"
