"""Writing graphs: their large tensors beside them as external data, or inside."""

from __future__ import annotations

from pathlib import Path

import onnx

from portvec._artifact import format as fmt
from portvec.errors import ExportError
from portvec_export._graph.public import build_public_graph
from portvec_export._graph.runtime import build_single_graph, build_tiled_graph
from portvec_export._onnx.builder import Graph, Store
from portvec_export._onnx.data_file import store_inline, write_data_file
from portvec_export._options import ExportOptions
from portvec_export._source.head import HeadLayers
from portvec_export._source.rules import Rules
from portvec_export._table.table import Table

# A graph in one file is a protobuf message, which must stay below 2 GiB. All but the table is a few KiB.
_PROTOBUF_LIMIT = (1 << 31) - (1 << 16)


def write_graph(
    folder: Path,
    name: str,
    table: Table,
    rules: Rules,
    head: HeadLayers | None,
    options: ExportOptions,
) -> None:
    """Write the graph `name` below `folder`, and its data unless the options ask for a single file.

    The runtime's own graphs are written with the data of the main graph. Variants have none.

    Raises:
        ExportError: the table is too large for a single file.
    """
    graph = build_public_graph(table, rules, head, token_type_ids=options.token_type_ids)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if options.single_file:
        size = sum(tensor.nbytes for tensor in graph.tensors.values())
        if size > _PROTOBUF_LIMIT:
            raise ExportError(
                f"the table takes {size:,} bytes, more than one ONNX file can hold (2 GiB); "
                "leave out single_file=True, or choose a smaller dtype"
            )
        _write(graph, path, store_inline)
        return
    data = write_data_file(folder / (name + fmt.DATA_SUFFIX), graph.tensors)
    _write(graph, path, data.store)
    if name == fmt.GRAPH:
        own = {fmt.RUNTIME_GRAPH: build_tiled_graph, fmt.SINGLE_GRAPH: build_single_graph}
        for own_name, build in own.items():
            _write(build(table, rules, head), folder / own_name, data.at(fmt.GRAPH_DATA).store)


def _write(graph: Graph, path: Path, store: Store) -> None:
    path.write_bytes(graph.to_model(store).SerializeToString(deterministic=True))
    onnx.checker.check_model(str(path), full_check=True)
