"""Ray Data: a dataset in, the same with a column of embeddings out, and Parquet files to Parquet files.

Every machine of the cluster needs portvec, and the model under the same path or Hub id.
"""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from portvec import errors
from portvec._artifact.working_folder import NEW, REPLACED, working_folder
from portvec._messages import fold_lines
from portvec.errors import FileError, InputError, OptionError, PortvecError
from portvec.integrations._common import missing_extra

try:
    import pyarrow as pa
    import pyarrow.dataset as pads
    import pyarrow.parquet as pq
    import ray
    import ray.data
    from ray.data import ActorPoolStrategy, Dataset

    from portvec._bulk.arrow import EMBEDDING, TEXT, VectorType, check_columns, vector_type
    from portvec._bulk.provenance import Provenance
    from portvec.integrations._engines import embed_table, shared_model
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
    _check_actors(actors)
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
    column: str = TEXT,
    name: str = EMBEDDING,
    dtype: VectorType = "float32",
    fixed_size: bool = True,
    address: str | None = None,
    actors: int | None = None,
    batch_size: int = _BATCH,
    overwrite: bool = False,
    progress: bool = False,
    **options: Any,
) -> int:
    """Embed Parquet files on a cluster, and return the number of rows.

    The output is a folder of Parquet files. It appears when all rows are there, each once. Their order is not
    kept: carry a column of ids if it matters. All machines must see input and output under the same paths.

    Args:
        source: as in `embed`.
        input: a Parquet file, or a folder of them.
        output: the folder to create.
        column: as in `embed`.
        name: as in `embed`.
        dtype: as in `embed`.
        fixed_size: as in `embed`. Texts that are null need False, because most versions of pyarrow cannot
            read null from a fixed size list in Parquet.
        address: the cluster's, such as "auto" for one that runs on this machine, or "host:6379". If None,
            that of RAY_ADDRESS, or else processes are started on this machine for the time of this call.
        actors: as in `embed`.
        batch_size: as in `embed`.
        overwrite: whether to replace a folder that holds Parquet files and nothing else.
        progress: whether Ray shows its progress.
        options: as in `embed`.

    Raises:
        FileError: the input is missing, is not Parquet or has no such column of texts, or a row cannot be
            embedded; the output exists, or cannot be written.
        OptionError: the dtype is unknown, `actors` is not 1 or more, or no cluster answers at the address.
        SourceError: the source does not exist, cannot be fetched or is not a Model2Vec model.
        ArtifactError: the artifact is damaged.
    """
    _check_actors(actors)
    texts = _open(input)
    try:
        check_columns(texts.schema, column, name)
    except InputError as error:
        raise FileError(f"{input}: {error}") from error
    if fixed_size and _holds_null(texts, column):
        raise FileError(
            f"{input}: the column {column!r} holds null, and most versions of pyarrow cannot read null from "
            "a fixed size list in Parquet; pass fixed_size=False"
        )
    target = Path(output).absolute()
    _check_free(target, output, overwrite)
    embedder = shared_model(source, options).embedder
    kind = vector_type(embedder.dim, dtype, fixed_size=fixed_size)
    with (
        _naming(output),
        working_folder(target, parents=True) as work,
        _cluster(address),
        _quiet(progress),
    ):
        staging = work / NEW
        staging.mkdir()
        # Without partitioning, the columns are those of the files. The path is given, not a list of files:
        # Ray lists those in threads, where an import of fsspec can fail.
        with _failing_as(input):
            dataset = embed(
                ray.data.read_parquet(str(Path(input).absolute()), partitioning=None),
                source,
                column=column,
                name=name,
                dtype=dtype,
                fixed_size=fixed_size,
                actors=actors,
                batch_size=batch_size,
                **options,
            )
            dataset.write_parquet(str(staging))
        if not any(staging.iterdir()):  # no row
            schema = texts.schema.append(pa.field(name, kind))
            schema = schema.with_metadata(Provenance.of(embedder, column, name).metadata())
            pq.write_table(schema.empty_table(), staging / "empty.parquet")
        rows: int = pads.dataset(staging, format="parquet").count_rows()
        expected = texts.count_rows()
        if rows != expected:
            raise FileError(f"{output}: Ray wrote {rows} rows of {expected}; run it again")
        _check_free(target, output, overwrite)
        if target.exists():
            target.rename(work / REPLACED)
        staging.rename(target)
        if (work / REPLACED).exists():  # it would be put back
            (work / REPLACED).rename(work / "old")
    return rows


def _check_actors(actors: object) -> None:
    if actors is not None and (not isinstance(actors, int) or actors < 1):
        raise OptionError(f"actors is {actors!r}, expected a whole number of 1 or more, or None")


def _open(input: str | os.PathLike[str]) -> Any:
    """Return the pyarrow.dataset.Dataset of a file or folder.

    Raises:
        FileError: there is none.
    """
    path = Path(input).absolute()
    if not path.exists():
        raise FileError(f"{input}: no such file or folder, expected Parquet on a disk that all machines have")
    try:
        dataset = pads.dataset(path, format="parquet")
    except (OSError, pa.ArrowException) as error:
        raise FileError(f"{input}: cannot be read as Parquet ({fold_lines(error)})") from error
    if not dataset.files:
        raise FileError(f"{input}: holds no file, expected Parquet files")
    for file in map(Path, dataset.files):
        if file.suffix != ".parquet":  # Ray would leave it out
            name = input if path.is_file() else file
            raise FileError(f"{name}: has the suffix {file.suffix!r}, expected .parquet; rename it")
    return dataset


def _holds_null(texts: Any, column: str) -> bool:
    """Return whether the statistics of a Parquet dataset say that a column holds null."""
    for fragment in texts.get_fragments():
        for group in range(fragment.metadata.num_row_groups):
            row_group = fragment.metadata.row_group(group)
            for chunk in map(row_group.column, range(row_group.num_columns)):
                statistics = chunk.statistics if chunk.path_in_schema == column else None
                if statistics is not None and statistics.null_count:
                    return True
    return False


def _check_free(target: Path, output: str | os.PathLike[str], overwrite: bool) -> None:
    """Check that a folder is missing or empty, or that it may be replaced.

    Raises:
        FileError: it is not.
    """
    if not target.exists():
        return
    if not target.is_dir():
        raise FileError(f"{output}: is a file, expected a folder to create; choose another output")
    names = [path.name for path in target.iterdir()]
    if names and not overwrite:
        raise FileError(f"{output}: exists and is not empty; choose another output, or pass overwrite=True")
    others = [name for name in names if not name.endswith(".parquet")]
    if others:
        raise FileError(
            f"{output}: holds {others[0]}, which is not Parquet, and overwrite=True does not delete it; "
            "choose another output"
        )


@contextmanager
def _naming(output: str | os.PathLike[str]) -> Iterator[None]:
    """Turn errors of the operating system into one that names `output`."""
    try:
        yield
    except OSError as error:
        raise FileError(f"{output}: cannot be written ({error.strerror or error})") from error


@contextmanager
def _cluster(address: str | None) -> Iterator[None]:
    """Connect to a cluster, or start one that ends with the block. A connection that exists is used.

    Raises:
        OptionError: no cluster answers at the address.
    """
    if ray.is_initialized():
        yield
        return
    for variable, value in (("RAY_USAGE_STATS_ENABLED", "0"), ("RAY_BACKEND_LOG_LEVEL", "fatal")):
        os.environ.setdefault(variable, value)
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    dashboard = False if address == "local" else None
    try:
        try:
            _check_answers(address)
            ray.init(
                address, include_dashboard=dashboard, log_to_driver=False, logging_level=logging.CRITICAL
            )
        except (OSError, RuntimeError, ValueError) as error:
            problem = f"address is {address!r}, where no Ray cluster answers ({fold_lines(error)})"
            raise OptionError(problem) from error
        yield
    finally:
        ray.shutdown()


def _check_answers(address: str) -> None:
    """Check that something listens at the address. Ray itself would try for minutes.

    Raises:
        OSError: nothing does.
    """
    host_and_port = re.fullmatch(r"(?:\w+://)?\[?([^/]+?)\]?:(\d+)", address)
    if host_and_port:
        socket.create_connection((host_and_port[1], int(host_and_port[2])), timeout=10).close()


@contextmanager
def _quiet(progress: bool) -> Iterator[None]:
    """Let Ray Data show nothing but its progress, and that only if asked. Its errors are raised."""
    context = ray.data.DataContext.get_current()
    log = logging.getLogger("ray.data")
    shown, level = context.enable_progress_bars, log.level
    context.enable_progress_bars = progress
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        context.enable_progress_bars = shown
        log.setLevel(level)


@contextmanager
def _failing_as(input: str | os.PathLike[str]) -> Iterator[None]:
    """Turn an error of a worker, which Ray hands over as the text of its traceback, into one of portvec's."""
    try:
        yield
    except ray.exceptions.RayError as error:
        found = re.findall(r"^portvec\.errors\.(\w+): (.+)$", str(error), flags=re.MULTILINE)
        if not found:
            raise FileError(f"{input}: Ray could not embed it ({fold_lines(error)[-300:]})") from error
        kind: type[PortvecError] = getattr(errors, found[-1][0])
        message = found[-1][1]
        if kind is InputError:
            raise FileError(f"{input}: {message}") from error
        raise kind(f"{message} (on a machine of the cluster)") from error
