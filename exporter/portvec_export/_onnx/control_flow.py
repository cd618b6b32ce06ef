"""Loops and branches of a graph under construction. What they repeat or choose is a graph too, their body."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from portvec_export._onnx.operators import Axes, Operand, Operators, Type, Value

_Body = TypeVar("_Body", bound="ControlFlow")


class ControlFlow(Operators):
    """A graph that can have bodies, which may use its values."""

    @abstractmethod
    def input(
        self, name: str, dtype: npt.DTypeLike, axes: Axes, default: npt.NDArray[Any] | None = None
    ) -> Value:
        """Declare an input. Callers may leave out one that has a default."""

    @abstractmethod
    def output(self, name: str, value: Value, dtype: npt.DTypeLike, axes: Axes) -> None:
        """Declare an output."""

    @abstractmethod
    def _as_output(self, value: Value) -> Value:
        """Return the same tensor as a value that may become an output."""

    @abstractmethod
    def _inner(self: _Body) -> _Body:
        """Return a body in this graph."""

    def scan(
        self: _Body,
        items: Value,
        body: Callable[[_Body, Value], Value],
        *,
        item: tuple[npt.DTypeLike, Axes],
        result: tuple[npt.DTypeLike, Axes],
    ) -> Value:
        """Stack what `body` computes for each item.

        Args:
            items: a tensor that holds the items along its first axis.
            body: adds the nodes for one item to the graph it is given, and returns their result. It may use
                values of this graph too.
            item: element type and axes of an item.
            result: element type and axes of a result.
        """
        inner = self._inner()
        inner.output("result", body(inner, inner.input("item", *item)), *result)
        return self.node("Scan", items, body=inner, num_scan_inputs=1)

    def fold(
        self: _Body,
        states: Sequence[Value],
        items: Sequence[Value],
        body: Callable[[_Body, list[Value], list[Value]], tuple[list[Value], list[Value]]],
        *,
        types: tuple[Sequence[Type], Sequence[Type], Sequence[Type]],
    ) -> tuple[list[Value], list[Value]]:
        """Go through items with states, and stack what `body` computes for each.

        Args:
            states: what the first step gets.
            items: tensors with the same first axis, along which the items are.
            body: adds the nodes for one step to the graph it is given. Its other arguments are the states and
                the items of the step. It returns the new states, of the same shapes, and the results. It may
                use values of this graph too.
            types: element type and axes of the states, of the items, and of the results.

        Returns:
            the last states, and the stacked results.
        """
        inner = self._inner()
        inputs = [
            [inner.input(f"{name}_{n}", *each) for n, each in enumerate(some)]
            for name, some in zip(("state", "item"), types[:2], strict=True)
        ]
        states_after, results = body(inner, *inputs)
        for name, values, some in (("after", states_after, types[0]), ("result", results, types[2])):
            for number, (value, each) in enumerate(zip(values, some, strict=True)):
                inner.output(f"{name}_{number}", value, *each)
        outputs = self.nodes(
            "Scan", len(states) + len(results), *states, *items, body=inner, num_scan_inputs=len(items)
        )
        return outputs[: len(states)], outputs[len(states) :]

    def loop(
        self: _Body,
        states: Sequence[Value],
        body: Callable[[_Body, Value, list[Value]], tuple[Value | None, list[Value]]],
        types: Sequence[Type],
        *,
        trips: Operand | None = None,
        condition: Value | None = None,
    ) -> list[Value]:
        """Repeat `body`, which makes new states of the states, and return the last ones.

        Args:
            states: what the first trip gets.
            body: adds the nodes for one trip to the graph it is given. Its other arguments are the number of
                the trip, int64 (), and the states. It returns whether to go on, bool (), or None for always,
                and the new states. It may use values of this graph too.
            types: element type and axes of each state.
            trips: the most trips, int64 (); None for no limit.
            condition: whether to start, bool (); None to start anyway.
        """
        inner = self._inner()
        trip, going_on = inner.input("trip", np.int64, []), inner.input("going_on", np.bool_, [])
        inputs = [inner.input(f"state_{n}", *each) for n, each in enumerate(types)]
        goes_on, results = body(inner, trip, inputs)
        goes_on = inner._as_output(going_on if goes_on is None else goes_on)
        inner.output("goes_on", goes_on, np.bool_, [])
        for number, (result, each) in enumerate(zip(results, types, strict=True)):
            inner.output(f"result_{number}", inner._as_output(result), *each)
        return self.nodes("Loop", len(states), trips, condition, *states, body=inner)

    def branch(
        self: _Body,
        condition: Value,
        then: Callable[[_Body], Sequence[Value]],
        otherwise: Callable[[_Body], Sequence[Value]],
        types: Sequence[Type],
    ) -> list[Value]:
        """Compute one of two lists of results, as the condition, bool (), says.

        Args:
            condition: whether to run `then`.
            then: adds the nodes to the graph it is given, and returns the results. It may use values of this
                graph too.
            otherwise: the same for the other case.
            types: element type and axes of each result.
        """
        branches = []
        for name, body in (("then", then), ("else", otherwise)):
            inner = self._inner()
            for number, (result, each) in enumerate(zip(body(inner), types, strict=True)):
                inner.output(f"{name}_{number}", inner._as_output(result), *each)
            branches.append(inner)
        return self.nodes("If", len(types), condition, then_branch=branches[0], else_branch=branches[1])
