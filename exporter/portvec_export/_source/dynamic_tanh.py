"""The layer of SSE (Stable Static Embedding), a class of sentence-transformers that models bring as code.

Its module `SSE` does what StaticEmbedding does, and passes the mean x through beta * tanh(alpha * x + bias).
The tensors are in the file of the table.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from portvec.errors import SourceError
from portvec_export._source.layers import DynamicTanh

_FILE = "model.safetensors"
_TABLE = "embedding.weight"
_TENSORS = ("dyt.alpha", "dyt.beta", "dyt.bias")


def read_dynamic_tanh(folder: Path) -> DynamicTanh:
    """Read the layer after the table from the folder of an SSE module.

    Raises:
        SourceError: the file cannot be read, or has other tensors than an SSE module, or ones that do not fit
            the table.
    """
    path = folder / _FILE
    try:
        with safe_open(path, framework="numpy") as file:
            names = sorted(file.keys())
            if names != sorted((_TABLE, *_TENSORS)):
                raise SourceError(
                    f"{path}: expected the tensors {', '.join((_TABLE, *_TENSORS))} of an SSE module, has "
                    f"{', '.join(names) or 'none'}; portvec knows no other module of this name"
                )
            dim = file.get_slice(_TABLE).get_shape()[-1:]
            tensors = [file.get_tensor(name) for name in _TENSORS]
    except (SafetensorError, OSError) as error:
        raise SourceError(f"{path}: not a safetensors file ({error}); fetch the model again") from error
    except (TypeError, AttributeError, KeyError) as error:  # a type that numpy lacks, such as bfloat16
        raise SourceError(f"{path}: tensors of a type that numpy cannot read ({error})") from error
    for name, tensor in zip(_TENSORS, tensors, strict=True):
        if tensor.dtype.kind != "f" or list(tensor.shape) != dim:
            raise SourceError(
                f"{path}: {name} is {tensor.dtype} {tensor.shape}, expected floating-point numbers "
                f"({', '.join(map(str, dim))},), as many as the table has columns; repair the model"
            )
    with np.errstate(over="ignore"):
        alpha, weight, bias = (tensor.astype(np.float32) for tensor in tensors)
    if not all(np.isfinite(each).all() for each in (alpha, weight, bias)):
        raise SourceError(f"{path}: NaN or infinity in {', '.join(_TENSORS)}; repair the model")
    return DynamicTanh(alpha=alpha, weight=weight, bias=bias)
