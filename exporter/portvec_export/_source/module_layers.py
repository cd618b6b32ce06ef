"""The modules of sentence-transformers that an artifact can express, read as layers after the mean."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from portvec._artifact.layouts import DENSE, MODULE_CONFIG, MODULE_WEIGHTS, MODULES
from portvec._messages import describe_unknown
from portvec.errors import SourceError
from portvec_export._source.files import parse_object, read_whole
from portvec_export._source.layers import Dense, DynamicTanh, Layer, UnitLength, width_after
from portvec_export._source.modules import NORMALIZE, OWN, SSE, STATIC, Module
from portvec_export._source.tensors import open_tensors

WITHOUT_SEMANTICS: Final = "pass semantics='model2vec' to read the model as model2vec does"
# PyTorch divides a vector by its norm, but by no less than this.
LEAST_NORM: Final = 1e-12

_DROPOUT = "Dropout"
_EMBEDDING = "sentence_embedding"
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


def read_layers(folder: Path, modules: Sequence[Module], width: int) -> tuple[Layer, ...]:
    """Return what the modules of the model in `folder` do with means of this width.

    Raises:
        SourceError: a file is missing or damaged, or a module does what an artifact cannot express.
    """
    layers: list[Layer] = []
    first = modules[0]
    if first.kind == SSE:
        layers.append(_read_sse(folder / first.path, width))
    elif not first.type.startswith(OWN):
        raise SourceError(
            f"{folder / MODULES}: has the module {first.type}, expected {OWN}models.{STATIC}; "
            f"{WITHOUT_SEMANTICS}"
        )
    for module in modules[1:]:
        kind = module.kind if module.type.startswith(OWN) else None
        if kind == NORMALIZE:
            _read_config(folder / module.path)
            layers.append(UnitLength(LEAST_NORM))
        elif kind == DENSE:
            layers.append(_read_dense(folder / module.path, width_after(layers, width)))
        elif kind != _DROPOUT:  # which does something in training only
            raise SourceError(
                f"{folder / MODULES}: has the module {module.type}, expected {NORMALIZE}, {DENSE} or "
                f"{_DROPOUT}; {WITHOUT_SEMANTICS}"
            )
    return tuple(layers)


def _read_sse(folder: Path, width: int) -> DynamicTanh:
    """Read what follows the mean in SSE (Stable Static Embedding), whose tensors are in the table's file.

    It passes the mean x through beta * tanh(alpha * x + bias).
    """
    names = ("dyt.alpha", "dyt.beta", "dyt.bias")
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(names, (width,))
    tensors = _read_tensors(folder / MODULE_WEIGHTS, shapes, besides=["embedding.weight"])
    alpha, beta, bias = (tensors[name] for name in names)
    return DynamicTanh(alpha=alpha, weight=beta, bias=bias)


def _read_dense(folder: Path, width: int) -> Dense:
    """Read a linear layer, its activation, and its residual if it has one."""
    path = folder / MODULE_CONFIG
    config = _read_config(folder)
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


def _read_config(folder: Path) -> dict[str, Any]:
    """Return the configuration of a module, {} if it has none, as in older releases."""
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


def _read_width(config: dict[str, Any], name: str, path: Path) -> int:
    value = config.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < 2**31:
        raise SourceError(f"{path}: {name} is {value!r}, expected a whole number from 1; repair the model")
    return value


def _read_tensors(
    path: Path, shapes: dict[str, tuple[int, ...]], besides: Collection[str] = ()
) -> dict[str, npt.NDArray[np.float32]]:
    """Return the tensors of these names and shapes. There must be no others, except `besides`."""
    if not path.is_file():
        raise SourceError(
            f"{path}: missing, and portvec does not read pytorch_model.bin, which is pickled; load the model "
            "with sentence-transformers, and save it again"
        )
    tensors = open_tensors(path)
    found = {name: tensors.shape(name) for name in tensors.names.difference(besides)}
    if found != shapes:
        raise SourceError(
            f"{path}: has {_list(found)}, expected {_list(shapes)}; portvec knows no other form of this "
            "module, so fetch the model again, or use it in sentence-transformers"
        )
    return {name: tensors.read_float32(name) for name in shapes}


def _list(shapes: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {shapes[name]}" for name in sorted(shapes)) or "no tensors"
