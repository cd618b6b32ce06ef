"""Typed access to JSON objects, with errors that name the field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from portvec.errors import ArtifactError


class JsonFields:
    """The fields of a JSON object. `where` names the object in errors."""

    def __init__(self, values: dict[str, Any], where: str) -> None:
        self.where = where
        self._values = values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def get(self, name: str, kind: type, *, nullable: bool = False, default: Any = None) -> Any:
        """Return field `name`, which must be a `kind`, or null if it is `nullable`.

        Raises:
            ArtifactError: the field is missing and has no default, or has another type.
        """
        if name not in self._values:
            if default is not None:
                return default
            raise ArtifactError(f"{self.where}: field {name} is missing; export the model again")
        value = self._values[name]
        if value is None and nullable:
            return None
        # JSON has no separate type for true, but Python's bool is an int.
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            got = type(value).__name__
            raise ArtifactError(
                f"{self.where}: field {name} has type {got}, expected {kind.__name__}; export the model again"
            )
        return value

    def object(self, name: str, *, default: Any = None) -> JsonFields:
        """Return the fields of the object `name`.

        Raises:
            ArtifactError: the field is missing and has no default, or is no object.
        """
        return JsonFields(self.get(name, dict, default=default), f"{self.where}: {name}")

    def nullable_object(self, name: str) -> JsonFields | None:
        """Return the fields of the object `name`, or None if it is null.

        Raises:
            ArtifactError: the field is missing, or is neither an object nor null.
        """
        return None if self.get(name, dict, nullable=True) is None else self.object(name)
