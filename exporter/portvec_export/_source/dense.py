"""The Dense modules of sentence-transformers: a linear layer, an activation, and sometimes a residual."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file

from portvec._artifact.layouts import MODULE_CONFIG, MODULE_WEIGHTS
from portvec._messages import describe_unknown
from portvec.errors import SourceError
from portvec_export._source.files import parse_object, read_whole
from portvec_export._source.layers import Dense

# Classes of PyTorch, which sentence-transformers calls without arguments.
_ACTIVATIONS = {
    "torch.nn.modules.linear.Identity": "identity",
    "torch.nn.modules.activation.ReLU": "relu",
    "torch.nn.modules.activation.Tanh": "tanh",
    "torch.nn.modules.activation.Sigmoid": "sigmoid",
    "torch.nn.modules.activation.GELU": "gelu",
}
_NAMES = {
    **_ACTIVATIONS,
    **{f"torch.nn.{name.rsplit('.', 1)[-1]}": ours for name, ours in _ACTIVATIONS.items()},
}
_DEFAULT = "torch.nn.modules.activation.Tanh"
_EMBEDDING = "sentence_embedding"


def read_config(folder: Path) -> dict[str, Any]:
    """Return the configuration of a module, {} if it has none, as in older releases.

    Raises:
        SourceError: it is not a JSON object, or the module reads or writes something else than embeddings.
    """
    path = folder / MODULE_CONFIG
    config = parse_object(read_whole(path), path) if path.is_file() else {}
    for name in ("module_input_name", "module_output_name"):
        value = config.get(name)
        if value not in (None, _EMBEDDING):
            raise SourceError(
                f"{path}: {name} is {value!r}, but an artifact can express only {_EMBEDDING!r}; "
                "use this model in sentence-transformers"
            )
    return config


def read_dense(folder: Path, width: int) -> Dense:
    """Read a module that gets vectors of this width.

    Raises:
        SourceError: a file is missing or damaged, it does not fit the width or the configuration, or an
            artifact cannot express it.
    """
    path = folder / MODULE_CONFIG
    config = read_config(folder)
    inputs, outputs = (_read_width(config, name, path) for name in ("in_features", "out_features"))
    if inputs != width:
        raise SourceError(
            f"{path}: in_features is {inputs}, expected {width}, the width before it; repair the model"
        )
    activation = config.get("activation_function", _DEFAULT)
    if activation not in list(_NAMES):  # a list, since the value may be anything
        raise SourceError(f"{path}: {describe_unknown('activation_function', activation, _ACTIVATIONS)}")
    has_bias, is_residual = config.get("bias", True), config.get("use_residual", False)
    for name, value in (("bias", has_bias), ("use_residual", is_residual)):
        if not isinstance(value, bool):
            raise SourceError(f"{path}: {name} is {value!r}, expected true or false; correct the file")
    shapes: dict[str, tuple[int, ...]] = {"linear.weight": (outputs, inputs)}
    if has_bias:
        shapes["linear.bias"] = (outputs,)
    if is_residual and inputs != outputs:
        shapes["residual.weight"] = (outputs, inputs)
    tensors = _read_tensors(folder / MODULE_WEIGHTS, shapes)
    residual = tensors.get("residual.weight")
    if is_residual and residual is None:
        residual = np.eye(inputs, dtype=np.float32)
    return Dense(tensors["linear.weight"], tensors.get("linear.bias"), _NAMES[activation], residual)


def _read_width(config: dict[str, Any], name: str, path: Path) -> int:
    value = config.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < 2**31:
        raise SourceError(f"{path}: {name} is {value!r}, expected a whole number from 1; repair the model")
    return value


def _read_tensors(path: Path, shapes: dict[str, tuple[int, ...]]) -> dict[str, npt.NDArray[np.float32]]:
    """Return the tensors of a module, which are exactly those of these names and shapes, in float32."""
    if not path.is_file():
        raise SourceError(
            f"{path}: missing, and portvec does not read pytorch_model.bin, which is pickled; load the model "
            "with sentence-transformers, and save it again"
        )
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise SourceError(f"{path}: not a safetensors file ({error}); fetch the model again") from error
    except (TypeError, AttributeError, KeyError) as error:  # a type that numpy lacks, such as bfloat16
        raise SourceError(
            f"{path}: tensors of a type that numpy cannot read ({error}); save the model in float32"
        ) from error
    found = {name: tensor.shape for name, tensor in tensors.items()}
    if found != shapes:
        raise SourceError(f"{path}: has {_list(found)}, expected {_list(shapes)}; save the model again")
    with np.errstate(over="ignore"):
        converted = {name: tensor.astype(np.float32) for name, tensor in tensors.items()}
    for name, tensor in tensors.items():
        if tensor.dtype.kind != "f" or not np.isfinite(converted[name]).all():
            raise SourceError(
                f"{path}: {name} is {tensor.dtype} with values that float32 cannot hold, or no numbers; "
                "repair the model"
            )
    return converted


def _list(shapes: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {shapes[name]}" for name in sorted(shapes)) or "no tensors"
