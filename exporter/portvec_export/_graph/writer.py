"""Writing the graph: the table beside it as external data, or inside it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from portvec._artifact import format as fmt
from portvec.errors import ExportError
from portvec_export._graph.models import build_model, build_runtime_model, build_single_model
from portvec_export._source.head import HeadLayers
from portvec_export._table.table import Table

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
    graph: str = fmt.GRAPH,
    max_length: int | None = None,
    token_type_ids: bool = False,
) -> None:
    """Write `graph` below `folder`; unless `single_file`, its data and, for the main one, portvec.graph.

    Raises:
        ExportError: the table is too large for a single file.
    """
    large = {**table.tensors(), **(head.tensors() if head else {})}
    tensors = {name: _little_endian(tensor) for name, tensor in large.items()}
    # tokenizer.json puts an UNK before the text and one after. Transformers.js cuts after it has added
    # them, so that it keeps one token of the text too many; here it goes.
    positions = max_length if max_length is None or unk_id is None else max_length + 1
    build = partial(
        build_model,
        table,
        unk_id=unk_id,
        normalize=normalize,
        head=head,
        token_type_ids=token_type_ids,
        positions=positions,
    )
    path = folder / graph
    path.parent.mkdir(parents=True, exist_ok=True)
    if single_file:
        size = sum(tensor.nbytes for tensor in tensors.values())
        if size > _PROTOBUF_LIMIT:
            raise ExportError(
                f"the table takes {size:,} bytes, more than one ONNX file can hold (2 GiB); "
                "leave out --single-file, or choose a smaller dtype"
            )
        inline = [numpy_helper.from_array(tensor, name) for name, tensor in tensors.items()]
        _write(build(initializers=inline), path)
        return
    data = graph + fmt.DATA_SUFFIX
    _write_data(folder / data, tensors)
    _write(build(initializers=_external(tensors, Path(data).name)), path)
    if graph == fmt.GRAPH:
        external = _external(tensors, fmt.GRAPH_DATA)
        own = {fmt.RUNTIME_GRAPH: build_runtime_model, fmt.SINGLE_GRAPH: build_single_model}
        for name, build_own in own.items():
            model = build_own(table, normalize=normalize, head=head, initializers=external)
            _write(model, folder / name)


def _write(model: onnx.ModelProto, path: Path) -> None:
    path.write_bytes(model.SerializeToString(deterministic=True))
    onnx.checker.check_model(str(path), full_check=True)


def _little_endian(tensor: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.ascontiguousarray(tensor, dtype=tensor.dtype.newbyteorder("<"))


def _offsets(tensors: dict[str, npt.NDArray[Any]]) -> Iterator[int]:
    """Yield where each tensor starts in the data file."""
    end = 0
    for tensor in tensors.values():
        alignment = _MAP_ALIGNMENT if tensor.nbytes >= _MAP_ALIGNMENT else _ALIGNMENT
        start = -(-end // alignment) * alignment
        yield start
        end = start + tensor.nbytes


def _write_data(path: Path, tensors: dict[str, npt.NDArray[Any]]) -> None:
    with path.open("wb") as file:
        for offset, tensor in zip(_offsets(tensors), tensors.values(), strict=True):
            file.write(bytes(offset - file.tell()))
            file.write(tensor.data)


def _external(tensors: dict[str, npt.NDArray[Any]], location: str) -> list[TensorProto]:
    protos = []
    for offset, (name, tensor) in zip(_offsets(tensors), tensors.items(), strict=True):
        proto = TensorProto(
            name=name,
            data_type=helper.np_dtype_to_tensor_dtype(tensor.dtype.newbyteorder("=")),
            dims=tensor.shape,
            data_location=TensorProto.EXTERNAL,
        )
        for key, value in {"location": location, "offset": offset, "length": tensor.nbytes}.items():
            proto.external_data.add(key=key, value=str(value))
        protos.append(proto)
    return protos
