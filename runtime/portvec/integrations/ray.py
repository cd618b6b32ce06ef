"""Ray: Parquet files to Parquet files, and a dataset in, the same with a column of embeddings out.

Every machine of the cluster needs portvec, and the model under the same path or Hub id.
"""

from __future__ import annotations

import os
from typing import Any, Literal

from portvec.integrations._common import missing_extra

try:
    import pyarrow as pa
    import ray
    import ray.data
    from ray.data import ActorPoolStrategy, Dataset

    from portvec._bulk.arrow import EMBEDDING, TEXT, VectorType, vector_type
    from portvec._bulk.provenance import Provenance
    from portvec._bulk.running import Plan
    from portvec._bulk.sources import open_source
    from portvec.integrations._engines import check_number, embed_table, shared_model, show_progress
    from portvec.integrations._ray_cluster import run_on_cluster
    from portvec.integrations._to_folder import embed_folder
except ImportError as error:
    raise missing_extra("ray", "ray", error) from error

_BATCH = 4096  # rows
# CPUs that an actor reserves at most. It uses a whole one while it embeds, but the tasks that list, read and
# write files must find a whole one free, or nothing moves.
_RESERVED = 0.5


class PortvecEmbedder:
    """An actor for `Dataset.map_batches`, with `batch_format="pyarrow"`. It loads the model once.

    `embed` chooses the other arguments of `map_batches` too.
    """

    def __init__(
        self,
        source: str | os.PathLike[str],
        *,
        column: str = TEXT,
        name: str = EMBEDDING,
        dtype: VectorType = "float32",
        fixed_size: bool = True,
        **options: Any,
    ) -> None:
        """Load the model.

        Args:
            source: an artifact folder, a Model2Vec folder, or a Hub id `owner/name` of either.
            column: the column of texts. A text that is null has the embedding null.
            name: name of the new column.
            dtype: "float32", or "float16", which rounds.
            fixed_size: make a fixed size list, or a list for readers that take no other.
            options: keyword arguments of `StaticEmbedder.load`, but its `dtype`; an unknown one raises
                TypeError. `threads` is 1 unless it is given.

        Raises:
            SourceError: the source does not exist, cannot be fetched or is not a Model2Vec model.
            ArtifactError: the artifact is damaged.
        """
        self._embedder = shared_model(source, options).embedder
        self._column = column
        self._form: dict[str, Any] = {"name": name, "dtype": dtype, "fixed_size": fixed_size}

    def __call__(self, table: pa.Table) -> pa.Table:
        """Return the table with one more column. Its metadata say which model the embeddings are from.

        Raises:
            InputError: there is no such column, it holds something else than texts, or there is a column
                of the new name.
            OptionError: the dtype is unknown.
        """
        embedded = embed_table(self._embedder, table, self._column, **self._form)
        provenance = Provenance.of(self._embedder, self._column, self._form["name"])
        return embedded.replace_schema_metadata({**(table.schema.metadata or {}), **provenance.metadata()})


def embed(
    dataset: Dataset,
    source: str | os.PathLike[str],
    *,
    column: str = TEXT,
    name: str = EMBEDDING,
    dtype: VectorType = "float32",
    fixed_size: bool = True,
    actors: int | None = None,
    batch_size: int = _BATCH,
    **options: Any,
) -> Dataset:
    """Return a dataset with one more column, the embeddings of its texts. The plan is not run.

    Ray does not keep the order of rows: carry a column of ids, and sort by it in the end if order matters.
    Actors of a machine that is lost start again on the others.

    Args:
        dataset: a Dataset.
        source: an artifact folder, a Model2Vec folder, or a Hub id `owner/name` of either, which every
            machine must have. It is loaded here too, for its errors.
        column: its column of texts. A text that is null has the embedding null.
        name: name of the new column.
        dtype: "float32", or "float16", which rounds.
        fixed_size: make a fixed size list, or a list for readers that take no other.
        actors: processes that embed, at most; one for each CPU of the cluster if None.
        batch_size: rows that are embedded at a time, at most.
        options: keyword arguments of `StaticEmbedder.load`, but its `dtype`; an unknown one raises TypeError.
            `threads` is 1 unless it is given. A token is not sent to the workers.

    Raises:
        OptionError: the dtype is unknown, or `actors` is not 1 or more.
        SourceError: the source does not exist, cannot be fetched or is not a Model2Vec model.
        ArtifactError: the artifact is damaged.
    """
    check_number("actors", actors)
    model = shared_model(source, options)
    vector_type(model.embedder.dim, dtype)
    cpus = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    actors = actors or max(sum(cpus), 1)
    # Half of what is spare if each machine keeps a CPU free, so that one stays free when machines are lost.
    spare = sum(max(cpu - 1, 0) for cpu in cpus)
    form = {"column": column, "name": name, "dtype": dtype, "fixed_size": fixed_size}
    return dataset.map_batches(
        PortvecEmbedder,
        fn_constructor_args=[model.source],
        fn_constructor_kwargs={**form, **model.options},
        batch_format="pyarrow",
        batch_size=batch_size,
        compute=ActorPoolStrategy(min_size=1, max_size=actors),
        num_cpus=min(_RESERVED, spare / (2 * actors)),
    )


def embed_parquet(
    source: str | os.PathLike[str],
    input: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    field: str | None = None,
    vector_field: str = EMBEDDING,
    dtype: VectorType = "float32",
    fixed_size: bool = True,
    on_error: Literal["fail", "skip"] = "fail",
    address: str | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    progress: bool = False,
    **options: Any,
) -> int:
    """Embed Parquet files on a cluster, and return the number of rows in the output.

    Each worker reads rows and writes files by itself, so all machines must see input and output under the
    same paths. The output is a folder of Parquet files, which appears when all rows are there, each once. In
    the order of their names, the files have the rows in their order. If the call is stopped or machines are
    lost, the same call embeds what is missing.

    Args:
        source: an artifact folder, a Model2Vec folder, or a Hub id `owner/name` of either, which every
            machine must have.
        input: a Parquet file, a folder of them, or a glob pattern.
        output: the folder to create.
        field: the column of texts, "text" by default.
        vector_field: name of the new column.
        dtype: "float32", or "float16", which rounds.
        fixed_size: make fixed size lists, or lists for readers that take no other.
        on_error: what to do about a row that cannot be embedded, such as null: "fail", or "skip" it and list
            it in OUTPUT.skipped.jsonl.
        address: the cluster's, such as "auto" for one that runs on this machine, or "host:6379". If None,
            that of RAY_ADDRESS, or else processes are started on this machine for the time of this call.
        workers: processes that embed, at most; one for each CPU of the cluster if None.
        overwrite: whether to replace a folder that holds Parquet files and nothing else.
        progress: whether to show a progress bar on stderr.
        options: keyword arguments of `StaticEmbedder.load`, but its `dtype`; an unknown one raises TypeError.
            `threads` is 1 unless it is given. A token is not sent to the workers.

    Raises:
        FileError: the input is missing, is not Parquet or has no such column of texts, or a row cannot be
            embedded; the output exists, cannot be written, or was begun with other settings.
        OptionError: the dtype is unknown, `workers` is not 1 or more, or no cluster answers at the address.
        SourceError: the source does not exist, cannot be fetched or is not a Model2Vec model.
        ArtifactError: the artifact is damaged.
    """
    plan = Plan(
        embedding=vector_field, dtype=dtype, fixed_size=fixed_size, on_error=on_error, overwrite=overwrite
    )
    model = shared_model(source, options)
    rows = open_source(input, format="parquet", field=field)
    run = run_on_cluster(address, workers)
    with show_progress(rows, progress) as count:
        return embed_folder(model, rows, output, plan, run, count).rows
