"""Embeddings straight into a collection of Milvus, and searching in one."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from portvec._bulk.milvus_client import (
    TIMEOUT,
    connect,
    find_vectors,
    is_file,
    requests,
    retry,
    show_target,
    split_credentials,
    takes_null,
)
from portvec._messages import describe_unknown, install
from portvec.errors import FileError, MissingExtraError, OptionError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from portvec._bulk.milvus_fields import Field
    from portvec._bulk.milvus_layout import Layout

METRICS: Final = ("COSINE", "IP", "L2")
_PREFIX: Final = "milvus:"
_COLLECTION: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_TEXT: Final = "text"
# Bytes of rows in a request. A server refuses more than 64 MB.
_REQUEST: Final = 16 << 20


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


def is_target(output: str) -> bool:
    """Return whether an output is a collection of Milvus rather than a file."""
    return output.startswith(_PREFIX)


def parse_target(target: str) -> tuple[str, str]:
    """Return the URI and the collection of "milvus:URI/COLLECTION". The prefix may be missing.

    The URI is the path of a Milvus Lite file, whose name ends with .db, or a server's
    http(s)://[USER:PASSWORD@]HOST[:PORT][/DATABASE].

    Raises:
        OptionError: it is neither, or the collection cannot have that name.
    """
    target = target.removeprefix(_PREFIX)
    uri, _, collection = target.rpartition("/")
    name = split_credentials(target)[0]
    is_server = re.match(r"https?://[^/]+/", name) is not None
    if not is_server and (not is_file(uri) or not uri.endswith(".db")):
        raise OptionError(
            f"{name}: expected URI/COLLECTION, where the URI is a file of Milvus Lite, such as ./rows.db, or "
            "http://HOST:PORT"
        )
    if not _COLLECTION.fullmatch(collection):
        raise OptionError(
            f"{name}: {name.rpartition('/')[2]!r} is no name of a collection, which has letters, digits and "
            "_ only, and no digit first"
        )
    return uri, collection


class MilvusCollection:
    """A collection that takes batches of rows with their embeddings.

    A run that is repeated sends the same rows with the same primary keys, so that it changes nothing.
    """

    def __init__(
        self,
        client: Any,
        name: str,
        collection: str,
        layout: Layout,
        fields: Mapping[str, Field],
        sleep: Callable[[float], object],
    ) -> None:
        """Take a client of pymilvus, and what `open` found out."""
        self._client = client
        self._name = name
        self._collection = collection
        self._layout = layout
        self._fields = fields
        self._sleep = sleep

    @classmethod
    def open(
        cls,
        uri: str,
        collection: str,
        *,
        schema: Any,
        text: str,
        vector: str,
        dim: int,
        id_field: str | None = None,
        metric: str = "COSINE",
        token: str | None = None,
        overwrite: bool = False,
        sleep: Callable[[float], object] = time.sleep,
    ) -> MilvusCollection:
        """Create a collection for the columns of a source, or check that one that exists takes them.

        The primary key is the number of the row, from 0, in a field "id", or it is a column. If the source
        has a column "id" and `id_field` is not given, it is refused: either choice would surprise some.

        Args:
            uri: the path of a Milvus Lite file, or a server's, as `parse_target` returns it.
            collection: its name.
            schema: pyarrow.Schema of the source, with or without the column of embeddings.
            text: the column of texts.
            vector: the column of embeddings.
            dim: length of an embedding.
            id_field: the column of integers or strings that is the primary key. A row replaces the one that
                has its key.
            metric: "COSINE", "IP" or "L2".
            token: a token, or user:password, instead of what the URI holds.
            overwrite: drop the collection first if it exists.
            sleep: wait for some seconds.

        Raises:
            OptionError: the metric is unknown, or the primary key cannot be what is asked for.
            FileError: Milvus cannot be reached, has no type for a column, or refuses the collection, or the
                existing collection does not fit.
            MissingExtraError: pymilvus, milvus-lite or pyarrow is not installed.
        """
        if metric not in METRICS:
            raise OptionError(describe_unknown("metric", metric, METRICS))
        try:
            from portvec._bulk.milvus_layout import check_fits, create, plan_layout
        except ImportError as error:
            raise MissingExtraError(
                f"rows for Milvus need pyarrow, which cannot be imported ({error}); {install('bulk')}"
            ) from error
        name = show_target(uri, collection)
        layout = plan_layout(
            name, schema, text=text, vector=vector, dim=dim, id_field=id_field, metric=metric
        )
        client = connect(uri, token)
        try:
            with requests(name):
                exists = client.has_collection(collection, timeout=TIMEOUT)
                if exists and overwrite:
                    client.drop_collection(collection, timeout=TIMEOUT)
                if not exists or overwrite:
                    create(client, collection, layout, nullable=takes_null(uri))
                fields = check_fits(client, name, collection, layout)
        except BaseException:
            client.close()
            raise
        return cls(client, name, collection, layout, fields, sleep)

    def has_rows(self) -> bool:
        """Return whether the collection has any rows."""
        with requests(self._name):
            self._client.load_collection(self._collection, timeout=TIMEOUT)
            found = self._client.query(
                self._collection,
                filter="",
                limit=1,
                output_fields=[self._layout.key.name],
                consistency_level="Strong",
                timeout=TIMEOUT,
            )
        return bool(found)

    def upsert(self, batch: Any, first_row: int) -> None:
        """Send a batch of rows, each in place of the one that has its primary key.

        A request that fails because the server is busy or away is sent again, for some minutes. An embedding
        that is null is sent as zeros, which score 0: every row of a collection has a vector.

        Args:
            batch: pyarrow.RecordBatch with the columns of the source and the embeddings.
            first_row: number of its first row, from 0.

        Raises:
            FileError: a value does not fit its field, or two rows have the same key, in which case nothing
                was sent; or Milvus refuses the rows or cannot be reached, and some may have been stored.
        """
        from portvec._bulk.milvus_fields import decode_dictionaries

        batch = decode_dictionaries(batch)
        rows = self._rows(batch, first_row)
        for start, stop in _split(batch, 0, len(rows)):
            self._send("upsert", rows[start:stop], timeout=TIMEOUT)

    def close(self) -> None:
        """Store what was sent, make it searchable, and close the connection.

        Raises:
            FileError: Milvus refuses it, or cannot be reached.
        """
        try:
            self._send("flush")
            self._send("load_collection")
        finally:
            self._client.close()

    def _send(self, request: str, *arguments: Any, **options: Any) -> None:
        call = getattr(self._client, request)
        with requests(self._name):
            retry(lambda: call(self._collection, *arguments, **options), self._sleep)

    def _rows(self, batch: Any, first_row: int) -> list[dict[str, Any]]:
        """Return the rows as dictionaries, after a check of all."""
        from portvec._bulk.milvus_fields import read_values, read_vectors

        values: dict[str, list[Any]] = {
            column.name: read_values(
                batch.column(column.name), self._fields[column.name], first_row, self._name
            )
            for column in self._layout.columns
        }
        key = self._layout.key.name
        if key in values:
            self._check_keys(values[key], first_row)
        else:
            values[key] = list(range(first_row, first_row + len(batch)))
        values[self._layout.vector] = read_vectors(batch.column(self._layout.vector), self._layout.dim)
        return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]

    def _check_keys(self, keys: list[Any], first_row: int) -> None:
        """Check that the keys of a batch differ; of two rows with the same key, one would be lost."""
        seen: dict[Any, int] = {}
        for row, key in enumerate(keys, first_row):
            if seen.setdefault(key, row) != row:
                raise FileError(
                    f"{self._name}, row {row}: the primary key {self._layout.key.name!r} is {key!r}, as in "
                    f"row {seen[key]}; give another id_field=..., or leave out one of the rows"
                )


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
        uri: as for `MilvusCollection.open`.
        collection: its name.
        query: an embedding, float32 (dim,).
        k: how many rows to return.
        field: the field of texts; "text" by default, if there is one.
        vector_field: the field of vectors; by default the only one.
        token: as for `MilvusCollection.open`.

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


def _split(batch: Any, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of rows that each fit a request."""
    if stop - start > 1 and batch.slice(start, stop - start).nbytes > _REQUEST:
        middle = (start + stop) // 2
        yield from _split(batch, start, middle)
        yield from _split(batch, middle, stop)
    elif stop > start:
        yield start, stop
