"""pyarrow, which is optional: lines, JSON Lines and CSV are read without it."""

from __future__ import annotations

from typing import Any

from portvec._messages import install
from portvec.errors import MissingExtraError


def import_pyarrow(what: str) -> Any:
    """Return the module pyarrow, which `what` needs.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import pyarrow
    except ImportError as error:
        raise MissingExtraError(
            f"{what} needs pyarrow, which cannot be imported ({error}); {install('bulk')}"
        ) from error
    return pyarrow
