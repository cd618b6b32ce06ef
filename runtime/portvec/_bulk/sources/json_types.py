"""The Arrow types in which the fields of many JSON objects fit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, Final

from portvec._bulk.sources.extra import import_pyarrow
from portvec.errors import FileError

_DEEPEST: Final = 64
_EXACT: Final = 2**53  # to here, float64 holds every integer
_INT64: Final = 2**63 - 1
_KINDS: Final = {
    type(None): None,
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "list",
    dict: "object",
}


class Fields:
    """The fields of the objects that were added, in the order in which they came."""

    def __init__(self) -> None:
        self._root = _Node("")

    def add(self, rows: Sequence[tuple[str, int, dict[str, Any]]]) -> None:
        """Add objects, each with its file and line.

        Raises:
            FileError: a field has values that no type holds together.
        """
        # Most blocks bring nothing new. In others, the row that does is looked for, because errors name it.
        if not self._root.knows([value for _, _, value in rows]):
            for file, line, value in rows:
                self._root.add(value, f"{file}, line {line}", 0)

    def schema(self, text: str) -> Any:
        """Return the pyarrow.Schema. Without rows, it has the column `text` only."""
        pa = import_pyarrow("this output")
        fields = [(name, node.type(pa)) for name, node in self._root.fields.items()]
        return pa.schema(fields or [(text, pa.string())])


class _Node:
    """What is known of a field.

    Attributes:
        kind: the kind of its values; None if all are null.
        place: where that was first seen.
        large: where an integer that float64 may not hold was first seen.
        item: what is known of the items of its lists.
        fields: what is known of the fields of its objects.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.kind: str | None = None
        self.place = ""
        self.large = ""
        self.item: _Node | None = None
        self.fields: dict[str, _Node] = {}

    def knows(self, values: Iterable[Any]) -> bool:
        """Return whether values fit without any change. It looks at many at once, which is fast."""
        found = [value for value in values if value is not None]
        kinds = {_KINDS[kind] for kind in set(map(type, found))}
        if not kinds:
            return True
        if kinds != {self.kind} and not (self.kind == "number" and kinds <= {"integer", "number"}):
            return False
        if "integer" in kinds:
            whole = [value for value in found if type(value) is int] if len(kinds) > 1 else found
            most = _INT64 if self.large else _EXACT
            return -most <= min(whole) and max(whole) <= most
        if self.kind == "string":
            return _is_text("".join(found))
        if self.kind == "list":
            return self._items().knows(chain.from_iterable(found))
        if self.kind == "object":
            if not set().union(*found) <= self.fields.keys():
                return False
            return all(node.knows(value.get(name) for value in found) for name, node in self.fields.items())
        return True

    def add(self, value: Any, place: str, depth: int) -> None:
        """Add a value. `place` says where it is.

        Raises:
            FileError: it does not fit.
        """
        kind = _KINDS[type(value)]
        if kind is None:
            return
        if depth > _DEEPEST:
            raise self._misfit(place, f"is nested more than {_DEEPEST} levels deep")
        if kind != self.kind:
            if self.kind is not None and {kind, self.kind} != {"integer", "number"}:
                raise self._misfit(place, f"is of type {kind}, but of type {self.kind} in {self.place}")
            if self.kind != "number":
                self.kind, self.place = kind, place
        if kind == "integer":
            self._add_integer(value, place)
        elif kind == "string" and not _is_text(value):
            raise self._misfit(place, "holds a lone surrogate, which is not text")
        elif kind == "list":
            for item in value:
                self._items().add(item, place, depth + 1)
        elif kind == "object":
            for name, each in value.items():
                if name not in self.fields:
                    path = f"{self.name}.{name}" if self.name else name
                    self.fields[name] = _Node(path)
                    if not _is_text(name):
                        raise self.fields[name]._misfit(place, "has a lone surrogate in its name")
                self.fields[name].add(each, place, depth + 1)
        if self.kind == "number" and self.large:
            raise self._misfit(
                self.large, f"holds an integer beyond 2^53, but a number with a fraction in {self.place}"
            )

    def _add_integer(self, value: int, place: str) -> None:
        if not -_INT64 - 1 <= value <= _INT64:
            raise self._misfit(place, "holds an integer beyond int64")
        if abs(value) > _EXACT and not self.large:
            self.large = place

    def _items(self) -> _Node:
        if self.item is None:
            self.item = _Node(f"{self.name}[]")
        return self.item

    def _misfit(self, place: str, what: str) -> FileError:
        return FileError(
            f"{place}: the field {self.name!r} {what}; correct it, or choose .jsonl output, which keeps "
            "values as they are"
        )

    def type(self, pa: Any) -> Any:
        """Return the Arrow type of the values."""
        if self.kind == "list":
            return pa.list_(self._items().type(pa))
        if self.kind == "object":
            return pa.struct([(name, node.type(pa)) for name, node in self.fields.items()])
        types = {"boolean": pa.bool_, "integer": pa.int64, "number": pa.float64, "string": pa.string}
        return types[self.kind]() if self.kind else pa.null()


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
