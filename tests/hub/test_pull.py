"""Fetching artifacts from the Hub: the real huggingface_hub client against a Hub on localhost."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tiny_models
from command_line import RunPortvec
from folders import contents
from hub_checks import check_error, closed_port, logged_in
from hub_repository import Repository
from hub_server import LocalHub
from portvec_export import export_model


@pytest.fixture
def run(portvec_process: RunPortvec, hub: LocalHub) -> RunPortvec:
    return logged_in(portvec_process, hub)


@pytest.fixture(autouse=True)
def _published(hub: LocalHub, tiny: Path) -> None:
    hub.add_folder("owner/artifact", tiny)


def test_leaves_other_files_of_the_repository(
    run: RunPortvec, hub: LocalHub, tiny: Path, tmp_path: Path
) -> None:
    hub.repositories["owner/artifact"].files["unrelated.bin"] = b"x" * 1000
    assert run("pull", "owner/artifact", "-o", tmp_path / "copy").returncode == 0
    assert contents(tmp_path / "copy") == contents(tiny)
    assert not any("unrelated.bin" in request for request in hub.requests)


def test_fetches_the_newest_whatever_the_cache_holds(
    run: RunPortvec, hub: LocalHub, tiny_model: Path, tmp_path: Path
) -> None:
    assert run("embed", "owner/artifact", "x").returncode == 0
    newer = export_model(tiny_model, tmp_path / "newer", dim=8)
    hub.add_folder("owner/artifact", newer)
    assert run("pull", "owner/artifact", "-o", tmp_path / "copy").returncode == 0
    assert contents(tmp_path / "copy") == contents(newer)


def test_subfolder(run: RunPortvec, hub: LocalHub, tiny: Path, tmp_path: Path) -> None:
    files = {f"small/v1/{name}": content for name, content in contents(tiny).items()}
    hub.repositories["owner/many"] = Repository({**files, "README.md": b"of all"})
    output = tmp_path / "copy"
    assert run("pull", "owner/many", "--subfolder", "small/v1/", "-o", output).returncode == 0
    assert contents(output) == contents(tiny)
    check_error(
        run("pull", "owner/many", "-o", tmp_path / "other"),
        "owner/many: neither a Model2Vec model (model.safetensors, config.json",
    )


def test_model2vec_model(run: RunPortvec, hub: LocalHub, tiny_model: Path, tmp_path: Path) -> None:
    hub.add_folder("owner/model", tiny_model, branches=("v1",))
    check_error(
        run("pull", "owner/model@v1", "-o", "copy"),
        "owner/model@v1: a Model2Vec model, not an artifact; run 'portvec export owner/model@v1 -o copy'",
    )
    assert not (tmp_path / "copy").exists()


def test_overwrite_replaces_artifacts_only(
    run: RunPortvec, hub: LocalHub, tiny: Path, tmp_path: Path
) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.txt").write_text("years of work")
    check_error(run("pull", "owner/artifact", "-o", taken), "exists and is not empty; choose another output")
    check_error(run("pull", "owner/artifact", "-o", taken, "--overwrite"), "so it is not an artifact, and")
    assert contents(taken) == {"thesis.txt": b"years of work"}
    assert hub.requests == []

    assert run("pull", "owner/artifact", "-o", tmp_path / "copy").returncode == 0
    (tmp_path / "copy" / "stray").write_text("")
    check_error(run("pull", "owner/artifact", "-o", tmp_path / "copy"), "or pass --overwrite")
    assert run("pull", "owner/artifact", "-o", tmp_path / "copy", "--overwrite").returncode == 0
    assert contents(tmp_path / "copy") == contents(tiny)


@pytest.mark.parametrize("damage", ["content", "size", "missing", "manifest", "not UTF-8", "path", "pattern"])
def test_damaged_artifact_is_not_kept(
    run: RunPortvec, hub: LocalHub, tiny: Path, tmp_path: Path, damage: str
) -> None:
    files = hub.repositories["owner/artifact"].files
    table = "onnx/model.onnx_data"
    manifest = json.loads(files["portvec.json"])
    if damage == "content":
        files[table] = bytes(len(files[table]))
        message = f"damaged artifact ({Path(table)}: content differs from what was exported (SHA-256))"
    elif damage == "size":
        files[table] += b"x"
        message = f"damaged artifact ({Path(table)}: {len(files[table]):,} bytes, but portvec.json lists "
    elif damage == "missing":
        del files[table]
        message = f"{table} is missing, though portvec.json lists it"
    elif damage == "manifest":
        files["portvec.json"] = files["portvec.json"][:100]
        message = "owner/artifact: portvec.json: not valid JSON"
    elif damage == "not UTF-8":
        files["portvec.json"] = b"\xff\xfe"
        message = "owner/artifact: portvec.json: not valid JSON"
    else:
        name = {"path": "../evil", "pattern": "*"}[damage]
        manifest["files"][name] = {"size": 1, "sha256": ""}
        files["portvec.json"] = json.dumps(manifest).encode()
        files["secret.bin"] = b"1"
        message = {"path": "'../evil' leaves the artifact folder", "pattern": "* is missing, though"}[damage]
    before = contents(tiny)
    check_error(run("pull", "owner/artifact", "-o", tiny, "--overwrite"), message)
    assert contents(tiny) == before
    assert not (tmp_path / "evil").exists()
    assert list(tmp_path.glob(".*.partial")) == []


@pytest.mark.parametrize("name", ["*", "?*", "[a-z]*", "onnx/*"])
@pytest.mark.parametrize("command", ["pull", "embed"])
def test_file_named_like_a_pattern_stands_for_itself(
    run: RunPortvec, hub: LocalHub, tmp_path: Path, name: str, command: str
) -> None:
    files = hub.repositories["owner/artifact"].files
    files[name] = b"1"
    manifest = json.loads(files["portvec.json"])
    manifest["files"][name] = {"size": 1, "sha256": hashlib.sha256(b"1").hexdigest()}
    files["portvec.json"] = json.dumps(manifest).encode()
    files["secret.bin"] = files["onnx/other.bin"] = b"x"
    arguments = ["-o", tmp_path / "copy"] if command == "pull" else ["x"]
    result = run(command, "owner/artifact", *arguments)
    assert (result.returncode, result.stderr.count("error")) == (0, 0)
    assert not any(request.endswith((".bin", ".gitattributes")) for request in hub.requests)
    if command == "pull":
        del files["secret.bin"], files["onnx/other.bin"]
        assert contents(tmp_path / "copy") == files


@pytest.mark.parametrize("name", ["*", "onnx/"])
def test_pattern_that_is_listed_but_not_in_the_repository_fetches_nothing(
    run: RunPortvec, hub: LocalHub, name: str
) -> None:
    files = hub.repositories["owner/artifact"].files
    manifest = json.loads(files["portvec.json"])
    manifest["files"][name] = {"size": 1, "sha256": ""}
    files["portvec.json"] = json.dumps(manifest).encode()
    files["secret.bin"] = files["onnx/other.bin"] = b"x"
    result = run("embed", "owner/artifact", "x")
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert not any(request.endswith(".bin") for request in hub.requests)


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "1000000"},
        {"Retry-After": "1" * 5000},
        {"ratelimit": '"api";r=0;t=1000000', "ratelimit-policy": '"fixed window";"api";q=500;w=300'},
    ],
)
@pytest.mark.parametrize("command", ["pull", "embed"])
def test_hub_that_asks_for_a_long_wait(
    run: RunPortvec, hub: LocalHub, tmp_path: Path, headers: dict[str, str], command: str
) -> None:
    hub.refusals = [headers] * 100
    result = run(command, "owner/artifact", *(["-o", tmp_path / "copy"] if command == "pull" else ["x"]))
    seconds = int(headers.get("Retry-After", "1000000")[:20])
    check_error(
        result,
        f"owner/artifact: the Hub asks to wait {seconds:,} seconds (HTTP 429), and portvec waits at most 60; "
        "try again later",
    )
    assert not (tmp_path / "copy").exists()


def test_hub_that_asks_for_a_short_wait(run: RunPortvec, hub: LocalHub, tmp_path: Path) -> None:
    hub.refusals = [{"Retry-After": "1"}]
    result = run("pull", "owner/artifact", "-o", tmp_path / "copy")
    assert hub.refusals == []
    assert result.returncode == 0
    assert result.stderr.splitlines()[0] == "owner/artifact: the Hub asks to wait 1 seconds (HTTP 429)"


def test_no_such_repository_or_revision(run: RunPortvec, tmp_path: Path) -> None:
    output = ("-o", tmp_path / "copy")
    check_error(run("pull", "owner/missing", *output), "owner/missing: no such repository, or it is private")
    check_error(run("pull", "owner/artifact@v9", *output), "the repository has no revision 'v9'; check the")
    check_error(
        run("pull", "owner/artifact@v1", "--revision", "v2", *output),
        "the id has revision 'v1', but --revision 'v2' was given",
    )
    check_error(run("pull", "artifact", *output), "artifact: not a Hub id; expected owner/name")
    assert not (tmp_path / "copy").exists()


def test_offline(run: RunPortvec, hub: LocalHub, tmp_path: Path) -> None:
    check_error(
        run("pull", "owner/artifact", "-o", tmp_path / "copy", HF_HUB_OFFLINE="1"),
        "owner/artifact: HF_HUB_OFFLINE is set, but pull needs the network; unset it",
    )
    assert hub.requests == []


def test_no_network(run: RunPortvec, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    check_error(
        run("pull", "owner/artifact", "-o", tmp_path / "copy", HF_ENDPOINT=url),
        f"owner/artifact: cannot be fetched from {url} (ConnectError",
    )


def test_output_that_cannot_be_written(run: RunPortvec, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    check_error(run("pull", "owner/artifact", "-o", tmp_path / "file" / "copy"), "cannot be written (")
    check_error(
        run("pull", "owner/artifact", "-o", tmp_path / "file"), "is a file, expected a folder to create"
    )


FULL_DISK = """
import resource, sys
from portvec._cli.main import run
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
@pytest.mark.parametrize("limit", [0, 100, 5_000, 60_000])
def test_disk_full(hub: LocalHub, tiny: Path, tmp_path: Path, limit: int) -> None:
    """A limit on file size stands for a full disk: the write that reaches it fails."""
    before = contents(tiny)
    command = [sys.executable, "-c", FULL_DISK, str(limit), "pull", "owner/artifact", "--overwrite"]
    settings = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
    result = subprocess.run(
        [*command, "-o", str(tiny)],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=120,
    )
    check_error(result, f"{tiny}: cannot be written (File too large)")
    assert contents(tiny) == before
    assert list(tmp_path.glob(".*.partial")) == []


def test_dropped_connection(run: RunPortvec, hub: LocalHub, tmp_path: Path) -> None:
    model = tiny_models.save(tmp_path / "wide", vectors=tiny_models.vectors(800, dim=256))
    hub.add_folder("owner/wide", export_model(model, tmp_path / "artifact"))
    hub.drops = 1
    broken = run("pull", "owner/wide", "-o", tmp_path / "copy")
    assert hub.drops == 0
    if broken.returncode == 1:  # huggingface_hub before 1.20 does not try again by itself
        assert "owner/wide: cannot be fetched from http" in broken.stderr
        assert not (tmp_path / "copy").exists()
        assert run("pull", "owner/wide", "-o", tmp_path / "copy").returncode == 0
    assert contents(tmp_path / "copy") == contents(tmp_path / "artifact")
