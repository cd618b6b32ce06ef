"""Writing the graph: the table beside it as external data, or inside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from portvec import _format as fmt
from portvec.errors import ExportError
from portvec_export._head import HeadLayers
from portvec_export._onnx_graph import build_model
from portvec_export._tables import Table

# Offsets that can be memory-mapped everywhere: Windows maps at multiples of 64 KiB, the others at pages.
# Tensors smaller than that are read, so they need no such offset.
_MAP_ALIGNMENT = 1 << 16
_ALIGNMENT = 1 << 6
# A protobuf message, so a graph in one file, must stay below 2 GiB; the rest of it is a few KiB.
_PROTOBUF_LIMIT = (1 << 31) - (1 << 16)


def write_graph(
    folder: Path,
    table: Table,
    *,
    unk_id: int | None,
    normalize: bool,
    head: HeadLayers | None,
    single_file: bool,
) -> None:
    """Write onnx/model.onnx and, unless `single_file`, onnx/model.onnx_data below `folder`.

    Raises:
        ExportError: the table is too large for a single file.
    """
    large = {**table.tensors(), **(head.tensors() if head else {})}
    tensors = {name: _little_endian(tensor) for name, tensor in large.items()}
    path = folder / fmt.GRAPH
    path.parent.mkdir(parents=True)
    if single_file:
        size = sum(tensor.nbytes for tensor in tensors.values())
        if size > _PROTOBUF_LIMIT:
            raise ExportError(
                f"the table takes {size:,} bytes, more than one ONNX file can hold (2 GiB); "
                "leave out --single-file, or choose a smaller dtype"
            )
        initializers = [numpy_helper.from_array(tensor, name) for name, tensor in tensors.items()]
    else:
        initializers = _write_external(folder / fmt.GRAPH_DATA, tensors)
    model = build_model(
        table,
        unk_id=unk_id,
        normalize=normalize,
        head=head.head if head else None,
        layers=len(head.layers) if head else 0,
        initializers=initializers,
    )
    path.write_bytes(model.SerializeToString(deterministic=True))
    onnx.checker.check_model(str(path), full_check=True)


def _little_endian(tensor: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.ascontiguousarray(tensor, dtype=tensor.dtype.newbyteorder("<"))


def _write_external(path: Path, tensors: dict[str, npt.NDArray[Any]]) -> list[TensorProto]:
    protos = []
    with path.open("wb") as file:
        for name, tensor in tensors.items():
            alignment = _MAP_ALIGNMENT if tensor.nbytes >= _MAP_ALIGNMENT else _ALIGNMENT
            file.write(bytes(-file.tell() % alignment))
            offset = file.tell()
            file.write(tensor.data)
            proto = TensorProto(
                name=name,
                data_type=helper.np_dtype_to_tensor_dtype(tensor.dtype.newbyteorder("=")),
                dims=tensor.shape,
                data_location=TensorProto.EXTERNAL,
            )
            for key, value in {"location": path.name, "offset": offset, "length": tensor.nbytes}.items():
                proto.external_data.add(key=key, value=str(value))
            protos.append(proto)
    return protos
