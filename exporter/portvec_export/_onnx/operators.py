"""The operators of a graph under construction, as methods that take and return values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from onnx import helper


class Value:
    """A tensor in a graph: an input, a stored tensor, or what a node computes. Compared by identity."""

    __slots__ = ()


Operand: TypeAlias = Value | np.generic | npt.NDArray[Any]

# None is an axis of unknown length. onnxruntime may put two tensors in one buffer if their axes have the same
# names, so each length that a loop or a branch makes needs a name of its own, or None.
Axes: TypeAlias = Sequence[str | int | None]
# Element type and axes of a value.
Type: TypeAlias = "tuple[npt.DTypeLike, Axes]"


class Operators(ABC):
    """ONNX operators: https://onnx.ai/onnx/operators has their definitions."""

    @abstractmethod
    def nodes(self, operator: str, count: int, *operands: Operand | None, **attributes: Any) -> list[Value]:
        """Add a node with `count` outputs. None stands for an optional operand that is left out."""

    def node(self, operator: str, *operands: Operand | None, **attributes: Any) -> Value:
        """Add a node with one output."""
        return self.nodes(operator, 1, *operands, **attributes)[0]

    def identity(self, value: Value) -> Value:
        """Return the same tensor as another value."""
        return self.node("Identity", value)

    def add(self, a: Operand, b: Operand) -> Value:
        """Return a + b."""
        return self.node("Add", a, b)

    def sub(self, a: Operand, b: Operand) -> Value:
        """Return a - b."""
        return self.node("Sub", a, b)

    def mul(self, a: Operand, b: Operand) -> Value:
        """Return a * b."""
        return self.node("Mul", a, b)

    def div(self, a: Operand, b: Operand) -> Value:
        """Return a / b."""
        return self.node("Div", a, b)

    def minimum(self, a: Operand, b: Operand) -> Value:
        """Return the lesser of a and b."""
        return self.node("Min", a, b)

    def maximum(self, a: Operand, b: Operand) -> Value:
        """Return the greater of a and b."""
        return self.node("Max", a, b)

    def equal(self, a: Operand, b: Operand) -> Value:
        """Return a == b."""
        return self.node("Equal", a, b)

    def where(self, condition: Value, a: Operand, b: Operand) -> Value:
        """Return a where the condition holds, else b."""
        return self.node("Where", condition, a, b)

    def cast(self, value: Value, dtype: npt.DTypeLike) -> Value:
        """Convert to another element type."""
        return self.node("Cast", value, to=tensor_type(dtype))

    def gather(self, data: Value, indices: Operand, axis: int = 0) -> Value:
        """Return data[indices] along an axis."""
        return self.node("Gather", data, indices, axis=axis)

    def slice(self, value: Value, start: int | Value, end: int | Value, axis: int) -> Value:
        """Return the part from start to end of an axis: numbers, or int64 tensors with one element."""
        bounds = [each if isinstance(each, Value) else _int64(each) for each in (start, end)]
        return self.node("Slice", value, *bounds, _int64(axis))

    def reduce_sum(self, value: Value, axis: int, *, keepdims: bool = False) -> Value:
        """Sum over an axis."""
        return self.node("ReduceSum", value, _int64(axis), keepdims=int(keepdims))

    def transpose(self, value: Value, *axes: int) -> Value:
        """Reorder the axes."""
        return self.node("Transpose", value, perm=axes)

    def reshape(self, value: Value, *shape: int) -> Value:
        """Reshape; 0 keeps the length of that axis, and -1 stands for what remains."""
        return self.node("Reshape", value, _int64(*shape))

    def unsqueeze(self, value: Value, axis: int) -> Value:
        """Insert an axis of length 1."""
        return self.node("Unsqueeze", value, _int64(axis))

    def squeeze(self, value: Value, axis: int) -> Value:
        """Remove an axis of length 1."""
        return self.node("Squeeze", value, _int64(axis))

    def concat(self, *values: Operand, axis: int) -> Value:
        """Join along an axis."""
        return self.node("Concat", *values, axis=axis)


def _int64(*numbers: int) -> npt.NDArray[np.int64]:
    return np.array(numbers, dtype=np.int64)


def tensor_type(dtype: npt.DTypeLike) -> int:
    """Return ONNX's number of an element type."""
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
