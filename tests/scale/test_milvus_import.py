"""Files for Milvus's bulk import: as pymilvus writes them, and imported as docs/howto-large-files.md says.

An import needs a Milvus cluster. What stands in for one here knows the three calls of the client, and checks
files by the types that pymilvus lists for the fields of a collection.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from command_line import RunPortvec
from corpus import paragraphs
from engines import need_engine
from portvec import StaticEmbedder
from project import ROOT

need_engine("pymilvus.bulk_writer")

from pymilvus import DataType, MilvusClient, MilvusException
from pymilvus.bulk_writer import (
    BulkFileType,
    LocalBulkWriter,
    bulk_import,
    get_import_progress,
    list_import_jobs,
)
from pymilvus.bulk_writer.constants import ARROW_TYPE_CREATOR

URL = "http://localhost:19530"
PAGE = (ROOT / "docs" / "howto-large-files.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("### Files for Milvus's bulk import")[2].partition("\n## ")[0]
CREATE, IMPORT = re.findall(r"```py\n(.*?)```", SECTION, flags=re.DOTALL)
(WRITE,) = re.findall(r"```sh\n(.*?)```", SECTION, flags=re.DOTALL)


def rows(count: int = 50) -> pa.Table:
    years = pa.array([2000 + number % 20 for number in range(count)], pa.int32())
    return pa.table({"id": range(count), "text": paragraphs(count), "year": years})


def schema_of(vector: str, dim: int) -> Any:
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("text", DataType.VARCHAR, max_length=65_535)
    schema.add_field("year", DataType.INT32)
    schema.add_field("embedding", DataType[vector], dim=dim)
    return schema


def write_with_pymilvus(folder: Path, table: pa.Table, vectors: Any, vector: str = "FLOAT_VECTOR") -> Path:
    schema = schema_of(vector, vectors.shape[1])
    with LocalBulkWriter(schema, str(folder), file_type=BulkFileType.PARQUET) as writer:
        for row, embedding in zip(table.to_pylist(), vectors.tolist(), strict=True):
            writer.append_row({**row, "embedding": embedding})
        writer.commit()
        ((file,),) = writer.batch_files
    return Path(file)


def parquet_schema(path: Path) -> str:
    """Return the schema in Parquet's own notation, after the address of the object."""
    return str(pq.ParquetFile(path).schema).partition("\n")[2]


def test_files_are_as_pymilvus_writes_them(bundled: Path, tmp_path: Path, portvec: RunPortvec) -> None:
    table = rows()
    pq.write_table(table, tmp_path / "rows.parquet")
    for vectors_as in ("list", "fixed-size-list"):
        options = ("-o", f"{vectors_as}.parquet", "--vectors-as", vectors_as, "--part-rows", 20)
        result = portvec("embed", bundled, "-i", "rows.parquet", *options)
        assert result.returncode == 0, result.stderr
    vectors = StaticEmbedder.load(bundled).encode(table["text"].to_pylist())
    theirs = write_with_pymilvus(tmp_path, table, vectors)
    ours = tmp_path / "list.parquet"
    assert parquet_schema(ours) == parquet_schema(theirs)
    assert pq.read_schema(ours).equals(pq.read_schema(theirs))  # names and types as Arrow reads them too
    assert pq.read_table(ours).equals(pq.read_table(theirs))
    assert not pq.read_schema(tmp_path / "fixed-size-list.parquet").equals(pq.read_schema(theirs))


def test_float16_in_parquet_is_not_what_pymilvus_writes_for_float16_vectors(
    bundled: Path, tmp_path: Path, portvec: RunPortvec
) -> None:
    table = rows(5)
    pq.write_table(table, tmp_path / "rows.parquet")
    for dtype in ("float16", "float32"):
        output = f"{dtype}.parquet"
        command = ("embed", bundled, "-i", "rows.parquet", "-o", output, "--vectors-as", "list")
        assert portvec(*command, "--dtype", dtype).returncode == 0
    vectors = StaticEmbedder.load(bundled).encode(table["text"].to_pylist())
    theirs = pq.read_schema(write_with_pymilvus(tmp_path, table, vectors, "FLOAT16_VECTOR"))
    assert ARROW_TYPE_CREATOR["FLOAT16_VECTOR"] == pa.list_(pa.uint8())  # for bytes
    assert theirs.field("embedding").type == pa.list_(pa.float32())  # for lists
    assert pq.read_schema(tmp_path / "float32.parquet").equals(theirs)
    assert pq.read_schema(tmp_path / "float16.parquet").field("embedding").type == pa.list_(pa.float16())


class Cluster:
    """Takes jobs of import for the collections of a Milvus Lite, with a folder for a bucket."""

    def __init__(self, lite: Path, bucket: Path) -> None:
        self.lite = lite
        self.bucket = bucket
        self.jobs: list[dict[str, Any]] = []
        self.calls: list[str] = []

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        reason = ""
        for paths in request["files"]:
            assert len(paths) == 1, "a Parquet file is a list of its own"
            reason = reason or self._check(request["collectionName"], self.bucket / paths[0])
        self.jobs.append(
            {
                "jobId": str(len(self.jobs) + 1),
                "collectionName": request["collectionName"],
                "files": request["files"],
                "state": "Pending",
                "reason": reason,
            }
        )
        return {"jobId": self.jobs[-1]["jobId"]}

    def _check(self, collection: str, path: Path) -> str:
        schema = pq.read_schema(path)
        with closing(MilvusClient(str(self.lite))) as client:
            fields = client.describe_collection(collection)["fields"]
        for field in fields:
            kind = ARROW_TYPE_CREATOR[DataType(field["type"]).name]
            if field["name"] not in schema.names or schema.field(field["name"]).type != kind:
                return f"{path.name}: no column {field['name']} of {kind}"
        return ""

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        (job,) = (job for job in self.jobs if job["jobId"] == request["jobId"])
        steps = {"Pending": "Importing", "Importing": "Failed" if job["reason"] else "Completed"}
        job["state"] = steps.get(job["state"], job["state"])
        if job["state"] == "Failed":
            return job
        return {key: value for key, value in job.items() if key != "reason"}

    def list(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"records": [job for job in self.jobs if job["collectionName"] == request["collectionName"]]}


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path / "rows.db", tmp_path / "bucket")


@pytest.fixture
def url(cluster: Cluster) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            call = self.path.removeprefix("/v2/vectordb/jobs/import/")
            cluster.calls.append(f"{call} {self.headers['Authorization']}")
            try:
                answer = {"code": 0, "data": getattr(cluster, call)(request)}
            except Exception as error:
                answer = {"code": 1100, "message": repr(error)}
            content = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def run(code: str, folder: Path) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, encoding="utf-8", timeout=300
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def prepare(bundled: Path, folder: Path, options: str = "--vectors-as list") -> None:
    """Do what the page says before the import, with Milvus Lite and a folder for a bucket."""
    (folder / "build").mkdir()
    (folder / "build" / "a").symlink_to(bundled)
    (folder / "parts").mkdir()
    table = rows()
    for number in range(2):
        pq.write_table(table.slice(number * 30, 30), folder / "parts" / f"{number}.parquet")
    assert URL in CREATE
    run(CREATE.replace(URL, "rows.db"), folder)
    assert "--vectors-as list" in WRITE
    script = WRITE.replace("portvec embed", f"'{sys.executable}' -m portvec embed")
    script = script.replace("--vectors-as list", options)
    subprocess.run(["sh", "-e", "-c", script], cwd=folder, check=True)
    shutil.copytree(folder / "import", folder / "bucket" / "import")


def test_the_page_imports_its_files(bundled: Path, tmp_path: Path, cluster: Cluster, url: str) -> None:
    prepare(bundled, tmp_path)
    assert URL in IMPORT
    assert run(IMPORT.replace(URL, url), tmp_path).split() == ["Completed"]
    (job,) = cluster.jobs
    assert job["collectionName"] == "docs"
    assert job["files"] == [["import/0.parquet"], ["import/1.parquet"]]
    assert [call.split()[0] for call in cluster.calls] == ["create", "describe", "describe"]


@pytest.mark.parametrize("options", ["", "--vectors-as list --dtype float16"])
def test_the_page_shows_why_an_import_fails(
    bundled: Path, tmp_path: Path, cluster: Cluster, url: str, options: str
) -> None:
    prepare(bundled, tmp_path, options)
    printed = run(IMPORT.replace(URL, url), tmp_path)
    assert printed == "Failed 0.parquet: no column embedding of list<item: float>\n"


def test_the_client_sends_credentials_and_lists_jobs(
    bundled: Path, tmp_path: Path, cluster: Cluster, url: str
) -> None:
    prepare(bundled, tmp_path)
    user = {"url": url, "api_key": "USER:PASSWORD"}
    files = [["import/1.parquet"]]
    job = bulk_import(**user, collection_name="docs", files=files).json()["data"]["jobId"]
    assert get_import_progress(**user, job_id=job).json()["data"]["state"] == "Importing"
    (listed,) = list_import_jobs(**user, collection_name="docs").json()["data"]["records"]
    assert (listed["jobId"], listed["files"]) == (job, files)
    assert cluster.calls == [f"{call} Bearer USER:PASSWORD" for call in ("create", "describe", "list")]
    with pytest.raises(MilvusException, match="FileNotFoundError"):
        bulk_import(**user, collection_name="docs", files=[["import/2.parquet"]])
