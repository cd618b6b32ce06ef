"""Change graphs as somebody who edits an artifact would."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from damage import replace_file


def edit_graph(folder: Path, name: str, change: Callable[[onnx.GraphProto], object]) -> None:
    """Change a graph and fix the manifest."""
    model = onnx.load(folder / name, load_external_data=False)
    change(model.graph)
    replace_file(folder, name, model.SerializeToString())


def add_function(model: onnx.ModelProto) -> None:
    model.functions.append(helper.make_function("x", "F", [], [], [], [helper.make_opsetid("", 14)]))


def add_sparse(model: onnx.ModelProto) -> None:
    values = numpy_helper.from_array(np.ones(1, np.float32), "s")
    indices = numpy_helper.from_array(np.zeros(1, np.int64))
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [2]))


def add_value_info(model: onnx.ModelProto) -> None:
    name = model.graph.node[0].output[0]
    model.graph.value_info.append(helper.make_tensor_value_info(name, TensorProto.INT64, [1 << 40]))
