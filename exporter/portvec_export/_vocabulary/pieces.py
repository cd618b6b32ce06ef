"""Compiling the pieces of a vocabulary, for models of every type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from portvec_export._vocabulary.errors import NotCompilable
from portvec_export._vocabulary.trie import build_trie

if TYPE_CHECKING:
    import numpy.typing as npt

Facts: TypeAlias = "dict[str, Any]"
Arrays: TypeAlias = "dict[str, npt.NDArray[Any]]"

# Ids are int32 in the arrays.
_IDS = 2**31


def compile_trie(pieces: Mapping[str, int]) -> Arrays:
    """Return the arrays of a trie of these pieces. The empty piece, which no word has, is left out.

    Raises:
        NotCompilable: there is no piece, or an id does not fit.
    """
    known = list(filter(None, pieces))
    if not known:
        raise NotCompilable("its vocabulary is empty")
    ids = np.fromiter(map(pieces.__getitem__, known), np.int64, len(known))
    if ids.max() >= _IDS:
        raise NotCompilable("it has token ids from 2147483648 on")
    return dict(build_trie(known, ids))


def compile_bytes(pieces: Mapping[str, int]) -> Arrays:
    """Return the ids of the tokens for bytes, -1 for those that are not there."""
    ids = [pieces.get(f"<0x{byte:02X}>", -1) for byte in range(256)]
    return {"byte_ids": np.array(ids, dtype=np.int32)}
