"""A builder of ONNX graphs whose calls return values.

    graph = Graph()
    ids = graph.input("ids", np.int64, ["texts", "length"])
    rows = graph.gather(graph.tensor("vectors", vectors), ids)
    graph.output("total", graph.reduce_sum(rows, axis=1), np.float32, ["texts", 256])
    model = graph.to_model()

Values get their names when the model is made, in the order of the nodes: the same calls give the same bytes.
Numbers and arrays among the operands become constants, each stored once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from portvec._artifact import format as fmt
from portvec_export._onnx.control_flow import ControlFlow
from portvec_export._onnx.data_file import Tensor, store_inline
from portvec_export._onnx.operators import Axes, Operand, Value, tensor_type

# The newest versions that the oldest consumer in use reads: Transformers.js 2 reads IR 8. Opset 14 needs
# IR 7.
IR_VERSION = 8
OPSET = 14

# Makes the protobuf message of a stored tensor, which holds the numbers or says where they are.
Store: TypeAlias = Callable[[Tensor, str], TensorProto]


class _Port(NamedTuple):
    """An input or output of a graph."""

    name: str
    value: Value
    dtype: npt.DTypeLike
    axes: Axes


class _Node(NamedTuple):
    operator: str
    inputs: list[Value | None]
    outputs: list[Value]
    attributes: dict[str, Any]


@dataclass
class _Stored:
    """The tensors that a model stores, for a graph and the bodies in it."""

    tensors: dict[str, tuple[Value, Tensor]] = field(default_factory=dict)
    defaults: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    constants: dict[tuple[str, tuple[int, ...], bytes], tuple[Value, npt.NDArray[Any]]] = field(
        default_factory=dict
    )
    names: dict[Value, str] = field(default_factory=dict)


class Graph(ControlFlow):
    """A graph under construction, or the body of a Scan, a Loop or an If in one."""

    def __init__(self, opset: int = OPSET) -> None:
        self._opset = opset
        self._nodes: list[_Node] = []
        self._inputs: list[_Port] = []
        self._outputs: list[_Port] = []
        self._stored = _Stored()

    # Inputs, outputs, and what is stored

    def input(
        self, name: str, dtype: npt.DTypeLike, axes: Axes, default: npt.NDArray[Any] | None = None
    ) -> Value:
        """Declare an input. Callers may leave out one that has a default."""
        value = Value()
        self._inputs.append(_Port(name, value, dtype, axes))
        if default is not None:
            self._stored.defaults[name] = default
        return value

    def output(self, name: str, value: Value, dtype: npt.DTypeLike, axes: Axes) -> None:
        """Declare an output. Its name becomes the name of the value.

        Raises:
            ValueError: no node of this graph computes the value, or it is an output already.
        """
        if not self._may_be_output(value):
            raise ValueError(f"output {name}: the value has another name; pass it through identity()")
        self._outputs.append(_Port(name, value, dtype, axes))

    def _may_be_output(self, value: Value) -> bool:
        """Return whether a node of this graph computes a value that is no output yet."""
        is_computed = any(value in node.outputs for node in self._nodes)
        return is_computed and not any(value is port.value for port in self._outputs)

    def _as_output(self, value: Value) -> Value:
        """Return the same tensor as a value that may become an output."""
        return value if self._may_be_output(value) else self.identity(value)

    def tensor(self, name: str, array: Tensor) -> Value:
        """Store a tensor under a name of its own, and return it. The same name gives the same tensor.

        Raises:
            ValueError: the name belongs to another array.
        """
        value, known = self._stored.tensors.setdefault(name, (Value(), array))
        if known is not array:
            raise ValueError(f"tensor {name}: the name belongs to another array; choose another name")
        return value

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The arrays given to `tensor`, by name, in that order."""
        return {name: array for name, (_, array) in self._stored.tensors.items()}

    def constant(self, number: np.generic | npt.NDArray[Any], name: str | None = None) -> Value:
        """Return a constant. Equal ones are stored once. One that readers look for needs a `name`."""
        array = np.asarray(number)
        key = (array.dtype.str, array.shape, array.tobytes())
        value = self._stored.constants.setdefault(key, (Value(), array))[0]
        if name is not None:
            self._stored.names[value] = name
        return value

    def nodes(self, operator: str, count: int, *operands: Operand | None, **attributes: Any) -> list[Value]:
        """Add a node with `count` outputs. None stands for an optional operand that is left out."""
        inputs = [
            each if each is None or isinstance(each, Value) else self.constant(each) for each in operands
        ]
        outputs = [Value() for _ in range(count)]
        self._nodes.append(_Node(operator, inputs, outputs, attributes))
        return outputs

    def _inner(self) -> Graph:
        """Return a body in this graph, which stores what it stores."""
        inner = Graph(self._opset)
        inner._stored = self._stored
        return inner

    # The model

    def to_model(self, store: Store = store_inline) -> onnx.ModelProto:
        """Return the model. `store` makes the message of each tensor given to `tensor`."""
        stored = self._stored
        names = {value: name for name, (value, _) in stored.tensors.items()}
        for value, _ in stored.constants.values():
            names[value] = stored.names.get(value, f"constant_{len(names)}")
        graph = self._to_proto("static_embedding", names)
        graph.initializer.extend(store(array, name) for name, (_, array) in stored.tensors.items())
        small = [(array, name) for name, array in stored.defaults.items()]
        small += [(array, names[value]) for value, array in stored.constants.values()]
        graph.initializer.extend(numpy_helper.from_array(array, name) for array, name in small)
        return helper.make_model(
            graph,
            producer_name=fmt.FORMAT_NAME,
            ir_version=IR_VERSION,
            opset_imports=[
                helper.make_opsetid(domain, 1 if domain else self._opset)
                for domain in sorted({"", *self._domains()})
            ],
        )

    def _domains(self) -> set[str]:
        """Return the domains of all operators, also of those in bodies."""
        found = {node.attributes.get("domain", "") for node in self._nodes}
        bodies = (each for node in self._nodes for each in node.attributes.values())
        return found.union(*(body._domains() for body in bodies if isinstance(body, Graph)))

    def _to_proto(self, title: str, names: dict[Value, str]) -> onnx.GraphProto:
        """Return the message of this graph; adds the names of its values to `names`."""
        taken = set(names.values())
        for port in (*self._inputs, *self._outputs):
            # A body's names must differ from those of the graph around it, and of other bodies.
            names[port.value] = f"{port.name}_{len(names)}" if port.name in taken else port.name
        nodes = []
        for node in self._nodes:
            attributes = {
                name: value._to_proto(name, names) if isinstance(value, Graph) else value
                for name, value in node.attributes.items()
            }
            for output in node.outputs:
                names.setdefault(output, f"{node.operator}_{len(names)}")
            inputs = ["" if value is None else names[value] for value in node.inputs]
            outputs = [names[value] for value in node.outputs]
            nodes.append(helper.make_node(node.operator, inputs, outputs, **attributes))
        ins = [_value_info(port, names) for port in self._inputs]
        outs = [_value_info(port, names) for port in self._outputs]
        return helper.make_graph(nodes, title, ins, outs)


def _value_info(port: _Port, names: dict[Value, str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(names[port.value], tensor_type(port.dtype), port.axes)
