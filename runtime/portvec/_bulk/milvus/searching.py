"""Searching in a collection of Milvus."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from portvec._bulk.milvus.client import TIMEOUT, connect, find_vectors, requests
from portvec._bulk.milvus.target import is_file, show_target
from portvec.errors import FileError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_TEXT: Final = "text"


class MilvusHit(NamedTuple):
    """A row that was found.

    Attributes:
        score: what the collection's metric gives: a cosine, a product, or a squared distance.
        id: its primary key.
        text: its text; None if the collection has no such field, or it is null.
    """

    score: float
    id: int | str
    text: str | None


def search_milvus(
    uri: str,
    collection: str,
    query: npt.NDArray[np.float32],
    k: int,
    *,
    field: str | None = None,
    vector_field: str | None = None,
    token: str | None = None,
) -> list[MilvusHit]:
    """Return the `k` rows of a collection that Milvus finds nearest to a query, the nearest first.

    Args:
        uri: the path of a Milvus Lite file, or a server's, as `parse_target` returns it.
        collection: its name.
        query: an embedding, float32 (dim,).
        k: how many rows to return.
        field: the field of texts; "text" by default, if there is one.
        vector_field: the field of vectors; by default the only one.
        token: a token, or user:password, instead of what the URI holds.

    Raises:
        FileError: there is no such collection or field, its vectors have another dimension, or Milvus cannot
            be reached.
        MissingExtraError: pymilvus or milvus-lite is not installed.
    """
    name = show_target(uri, collection)
    if is_file(uri) and not Path(uri).exists():  # it would be created
        raise FileError(f"{uri}: no such file of Milvus Lite; give the one that the rows were written to")
    with closing(connect(uri, token)) as client, requests(name):
        if not client.has_collection(collection, timeout=TIMEOUT):
            known = ", ".join(client.list_collections(timeout=TIMEOUT)) or "none"
            raise FileError(f"{name}: no such collection, has {known}; give one of them")
        fields = client.describe_collection(collection, timeout=TIMEOUT)["fields"]
        names = [each["name"] for each in fields]
        if field is not None and field not in names:
            raise FileError(f"{name}: no field {field!r}, has {', '.join(names)}; give another field=...")
        text = field or (_TEXT if _TEXT in names else None)
        (key,) = (each["name"] for each in fields if each.get("is_primary"))
        chosen = _choose_vector(name, fields, vector_field, len(query))
        client.load_collection(collection, timeout=TIMEOUT)
        (found,) = client.search(
            collection,
            data=[query],
            limit=k,
            anns_field=chosen,
            output_fields=[] if text is None else [text],
            consistency_level="Strong",  # rows that were sent a moment ago are found
            timeout=TIMEOUT,
        )
        # Older versions of pymilvus call every primary key "id".
        return [
            MilvusHit(
                hit["distance"],
                hit[key] if key in hit else hit["id"],
                None if text is None else hit["entity"].get(text),
            )
            for hit in found
        ]


def _choose_vector(name: str, fields: list[Any], chosen: str | None, dim: int) -> str:
    vectors = find_vectors(fields)
    known = ", ".join(vectors) or "none"
    if chosen is None and len(vectors) == 1:
        (chosen,) = vectors
    if chosen is None:
        raise FileError(
            f"{name}: expected one field of float vectors, has {known}; give vector_field=..., or another "
            "collection"
        )
    if chosen not in vectors:
        raise FileError(
            f"{name}: no field of float vectors {chosen!r}, has {known}; give another vector_field=..."
        )
    if vectors[chosen] != dim:
        raise FileError(
            f"{name}: holds vectors of dimension {vectors[chosen]}, and the model's have {dim}; give the "
            "model that made them"
        )
    return chosen
