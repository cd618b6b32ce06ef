"""Writing embeddings into a collection of Milvus."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from portvec._bulk.milvus.client import TIMEOUT, connect, requests, retry, takes_null
from portvec._bulk.milvus.target import show_target
from portvec._messages import describe_unknown, install
from portvec.errors import FileError, MissingExtraError, OptionError

if TYPE_CHECKING:
    from portvec._bulk.milvus.fields import Field
    from portvec._bulk.milvus.layout import Layout

METRICS: Final = ("COSINE", "IP", "L2")
# Bytes of rows in a request. A server refuses more than 64 MB.
_REQUEST: Final = 16 << 20


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
            from portvec._bulk.milvus.layout import check_fits, create, plan_layout
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
        from portvec._bulk.milvus.fields import decode_dictionaries

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
        from portvec._bulk.milvus.fields import read_values, read_vectors

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


def _split(batch: Any, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of rows that each fit a request."""
    if stop - start > 1 and batch.slice(start, stop - start).nbytes > _REQUEST:
        middle = (start + stop) // 2
        yield from _split(batch, start, middle)
        yield from _split(batch, middle, stop)
    elif stop > start:
        yield start, stop
