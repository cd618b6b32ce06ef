"""Writing graphs: their large tensors beside them as external data, or inside."""

from __future__ import annotations

from pathlib import Path

import onnx

from portvec._artifact import format as fmt
from portvec.errors import ExportError
from portvec_export._graph.public import build_public_graph
from portvec_export._graph.runtime import build_tiled_graph
from portvec_export._onnx.builder import Graph, Store
from portvec_export._onnx.data_file import DataFile, store_inline, write_data_file
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
) -> DataFile | None:
    """Write the graph `name` for other runtimes below `folder`, and its data unless it is a single file.

    Returns:
        Where its tensors are; None if they are inside.

    Raises:
        ExportError: the table is too large for a single file.
    """
    graph = build_public_graph(table, rules, head, token_type_ids=options.token_type_ids)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if options.single_file:
        write_single_file(graph, path, "leave out single_file=True")
        return None
    data = write_data_file(folder / fmt.data_of(name), graph.tensors)
    _write(graph, path, data.store)
    return data


def write_runtime_graph(
    folder: Path, table: Table, rules: Rules, head: HeadLayers | None, data: DataFile
) -> None:
    """Write portvec's own graph over the data of the main graph."""
    store = data.at(fmt.data_of(fmt.GRAPH)).store
    _write(build_tiled_graph(table, rules, head), folder / fmt.RUNTIME_GRAPH, store)


def write_single_file(graph: Graph, path: Path, remedy: str) -> None:
    """Write a graph with its tensors inside.

    Raises:
        ExportError: they are too large for a single file. The message ends with `remedy`.
    """
    size = sum(tensor.nbytes for tensor in graph.tensors.values())
    if size > _PROTOBUF_LIMIT:
        raise ExportError(
            f"the table takes {size:,} bytes, more than one ONNX file can hold (2 GiB); "
            f"{remedy}, or choose a smaller dtype"
        )
    _write(graph, path, store_inline)


def _write(graph: Graph, path: Path, store: Store) -> None:
    path.write_bytes(graph.to_model(store).SerializeToString(deterministic=True))
    onnx.checker.check_model(str(path), full_check=True)
