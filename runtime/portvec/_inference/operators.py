"""The operators that a graph may have, and how large their results are.

A file of a few hundred bytes can ask for any amount of time and memory: an Expand to 2**40 numbers, forty
Concats that double, an outer product of an outer product. So each operator here gives bounds for the shapes
of its results, from bounds for its operands.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

Shape: TypeAlias = "tuple[int, ...]"
# Attributes of a node by name: a number, numbers, or text.
Attributes: TypeAlias = "dict[str, Any]"


class Size(NamedTuple):
    """Bounds for a tensor.

    Attributes:
        shape: the largest it can have.
        numbers: what it holds, if that is known: the numbers of a small constant, or a shape.
    """

    shape: Shape
    numbers: tuple[int, ...] | None = None

    @property
    def elements(self) -> int:
        """Number of its elements."""
        return math.prod(self.shape)


class Node(NamedTuple):
    """A node whose operands have known bounds.

    Attributes:
        operands: None for one that is left out.
        attributes: by name.
        results: number of results.
    """

    operands: list[Size | None]
    attributes: Attributes
    results: int

    def operand(self, index: int) -> Size:
        """Return an operand, which must be there."""
        operand = self.operands[index]
        if operand is None:
            raise ValueError("an operand is missing")
        return operand

    def numbers(self, index: int) -> tuple[int, ...]:
        """Return the numbers of an operand, which must be known before the graph runs."""
        numbers = self.operand(index).numbers
        if numbers is None:
            raise ValueError("a size or an axis that depends on the texts")
        return numbers

    def axis(self, rank: int, default: int | None = None) -> int:
        """Return the attribute `axis` of a tensor of this rank."""
        axis = self.attributes.get("axis", default)
        if axis is None:
            raise ValueError("axis is missing")
        return _axis(axis, rank)


class Operator(NamedTuple):
    """What a kind of node gives.

    Attributes:
        size: bounds for each of its results.
        attributes: names of those that it may have.
        products: how many numbers it multiplies and adds.
        reads_all: whether it reads all of its first operand, and not only what it returns.
    """

    size: Callable[[Node], Size]
    attributes: frozenset[str] = frozenset()
    products: Callable[[Node], int] = lambda node: 0
    reads_all: bool = True


def _axis(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} of a tensor with {rank} axes")
    return axis % rank


def _same(node: Node) -> Size:
    return Size(node.operand(0).shape)


def _broadcast(*shapes: Shape) -> Shape:
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(map(max, zip(*padded, strict=True)))


def _elementwise(node: Node) -> Size:
    return Size(_broadcast(*(each.shape for each in node.operands if each is not None)))


def _gather(node: Node) -> Size:
    data, indices = node.operand(0).shape, node.operand(1).shape
    axis = node.axis(len(data), 0)
    return Size(data[:axis] + indices + data[axis + 1 :])


def _concat(node: Node) -> Size:
    sizes = [node.operand(index) for index in range(len(node.operands))]
    shapes = [size.shape for size in sizes]
    axis = node.axis(len(shapes[0]))
    if any(len(shape) != len(shapes[0]) for shape in shapes):
        raise ValueError("Concat of tensors with different numbers of axes")
    shape = list(map(max, zip(*shapes, strict=True)))
    shape[axis] = sum(each[axis] for each in shapes)
    numbers: tuple[int, ...] | None = ()
    for size in sizes:
        numbers = None if numbers is None or size.numbers is None else numbers + size.numbers
    return Size(tuple(shape), numbers if len(shape) == 1 else None)


def _shape(node: Node) -> Size:
    shape = node.operand(0).shape
    return Size((len(shape),), shape)


def _expand(node: Node) -> Size:
    return Size(_broadcast(node.operand(0).shape, _lengths(node.numbers(1))))


def _lengths(numbers: Sequence[int]) -> Shape:
    if any(number < 0 for number in numbers):
        raise ValueError("a negative length")
    return tuple(numbers)


def _reshape(node: Node) -> Size:
    size, wanted = node.operand(0), list(node.numbers(1))
    for index, length in enumerate(wanted):
        if length == 0:
            wanted[index] = size.shape[_axis(index, len(size.shape))]
    if -1 in wanted:
        known = -math.prod(wanted)
        wanted[wanted.index(-1)] = -(-size.elements // known) if known > 0 else 0
    return Size(_lengths(wanted))


def _unsqueeze(node: Node) -> Size:
    shape, axes = node.operand(0).shape, node.numbers(1)
    rank = len(shape) + len(axes)
    inserted = {_axis(axis, rank) for axis in axes}
    rest = iter(shape)
    return Size(tuple(1 if axis in inserted else next(rest) for axis in range(rank)))


def _squeeze(node: Node) -> Size:
    shape = node.operand(0).shape
    removed = {_axis(axis, len(shape)) for axis in node.numbers(1)}
    return Size(tuple(length for axis, length in enumerate(shape) if axis not in removed))


def _slice(node: Node) -> Size:
    if len(node.operands) != 4:
        raise ValueError("Slice without axes or with steps")
    shape = list(node.operand(0).shape)
    starts, ends = node.operand(1), node.operand(2)
    for index, number in enumerate(node.numbers(3)):
        axis = _axis(number, len(shape))
        if starts.numbers and ends.numbers and starts.numbers[index] == 0 <= ends.numbers[index]:
            shape[axis] = min(shape[axis], ends.numbers[index])
    return Size(tuple(shape))


def _split(node: Node) -> Size:
    if len(node.operands) != 1:
        raise ValueError("Split into parts of given lengths")
    shape = list(node.operand(0).shape)
    axis = node.axis(len(shape), 0)
    shape[axis] = -(-shape[axis] // node.results)
    return Size(tuple(shape))


def _transpose(node: Node) -> Size:
    shape = node.operand(0).shape
    order = node.attributes.get("perm", list(range(len(shape)))[::-1])
    if sorted(order) != list(range(len(shape))):
        raise ValueError("Transpose to an order that leaves out axes")
    return Size(tuple(shape[axis] for axis in order))


def _reduce(node: Node) -> Size:
    shape = node.operand(0).shape
    axes = node.attributes.get("axes") if len(node.operands) == 1 else node.numbers(1)
    reduced = {_axis(axis, len(shape)) for axis in (range(len(shape)) if axes is None else axes)}
    if node.attributes.get("keepdims", 1):
        return Size(tuple(1 if axis in reduced else length for axis, length in enumerate(shape)))
    return Size(tuple(length for axis, length in enumerate(shape) if axis not in reduced))


def _matrices(node: Node) -> Size:
    a, b = node.operand(0).shape, node.operand(1).shape
    if min(len(a), len(b)) < 2:
        raise ValueError("a product of tensors that are no matrices")
    return Size((*_broadcast(a[:-2], b[:-2]), a[-2], b[-1]))


def _gemm(node: Node) -> Size:
    a, b = (node.operand(index).shape for index in (0, 1))
    if len(a) != 2 or len(b) != 2:
        raise ValueError("a product of tensors that are no matrices")
    product = (a[bool(node.attributes.get("transA"))], b[1 - bool(node.attributes.get("transB"))])
    added = node.operands[2] if len(node.operands) > 2 else None
    return Size(product if added is None else _broadcast(product, added.shape))


def _matrices_products(node: Node) -> int:
    return _matrices(node).elements * node.operand(0).shape[-1]


def _gemm_products(node: Node) -> int:
    return _gemm(node).elements * node.operand(0).shape[1 - bool(node.attributes.get("transA"))]


def _names(*names: str) -> frozenset[str]:
    return frozenset(names)


# What portvec's exporter writes, and wrote in earlier versions.
OPERATORS: Final[dict[str, Operator]] = {
    **dict.fromkeys(
        ("Add", "Sub", "Mul", "Div", "Min", "Max", "Equal", "Or", "Where"), Operator(_elementwise)
    ),
    "BitShift": Operator(_elementwise, _names("direction")),
    **dict.fromkeys(("Not", "Sqrt", "Floor", "Relu", "Sigmoid", "Tanh", "Erf", "Identity"), Operator(_same)),
    "Cast": Operator(_same, _names("to")),
    "Softmax": Operator(_same, _names("axis")),
    "DequantizeLinear": Operator(_same, _names("axis")),
    "Gather": Operator(_gather, _names("axis"), reads_all=False),
    "Concat": Operator(_concat, _names("axis")),
    "Shape": Operator(_shape, reads_all=False),
    "Expand": Operator(_expand),
    "Reshape": Operator(_reshape),
    "Unsqueeze": Operator(_unsqueeze),
    "Squeeze": Operator(_squeeze),
    "Slice": Operator(_slice, reads_all=False),
    "Split": Operator(_split, _names("axis")),
    "Transpose": Operator(_transpose, _names("perm")),
    "ReduceSum": Operator(_reduce, _names("keepdims")),
    "ReduceL2": Operator(_reduce, _names("keepdims", "axes")),
    "MatMulInteger": Operator(_matrices, products=_matrices_products),
    "Gemm": Operator(_gemm, _names("transA", "transB"), products=_gemm_products),
}
