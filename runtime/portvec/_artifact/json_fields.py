"""Typed access to JSON objects, with errors that name the field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, overload

from portvec.errors import ArtifactError


class JsonFields:
    """The fields of a JSON object. `where` names the object in errors."""

    def __init__(self, values: dict[str, Any], where: str) -> None:
        self.where = where
        self._values = values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def get(self, name: str, kind: type, *null: None, default: Any = None) -> Any:
        """Return field `name`, which must be a `kind`, or null if a None is passed as well.

        Raises:
            ArtifactError: the field is missing and has no default, or has another type.
        """
        if name not in self._values:
            if default is not None:
                return default
            raise ArtifactError(f"{self.where}: field {name} is missing; export the model again")
        value = self._values[name]
        if value is None and null:
            return None
        # JSON has no separate type for true, but Python's bool is an int.
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            got = type(value).__name__
            raise ArtifactError(f"{self.where}: field {name} has type {got}, expected {kind.__name__}")
        return value

    @overload
    def object(self, name: str, *, default: Any = None) -> JsonFields: ...
    @overload
    def object(self, name: str, null: None, /) -> JsonFields | None: ...
    def object(self, name: str, *null: None, default: Any = None) -> JsonFields | None:
        """Return the fields of the object `name`; None for null, which is allowed if a None is passed.

        Raises:
            ArtifactError: the field is missing and has no default, or is no object.
        """
        value = self.get(name, dict, *null, default=default)
        return None if value is None else JsonFields(value, f"{self.where}: {name}")
