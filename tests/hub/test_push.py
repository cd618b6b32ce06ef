"""Publishing artifacts: the real huggingface_hub client against a Hub on localhost."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from command_line import RunPortvec
from folders import contents
from hub_checks import check_error, closed_port, logged_in, published
from hub_repository import READ_TOKEN, TOKEN, Repository
from hub_server import LocalHub
from portvec._hub.ids import parse_hub_id
from portvec.errors import SourceError
from portvec_export import export_model


@pytest.fixture
def run(portvec_process: RunPortvec, hub: LocalHub) -> RunPortvec:
    return logged_in(portvec_process, hub)


def commits(hub: LocalHub) -> list[str]:
    return [request for request in hub.requests if "/commit/" in request]


@pytest.mark.parametrize("options", [{}, {"dtype": "int8"}, {"single_file": True}])
def test_round_trip(
    run: RunPortvec, hub: LocalHub, tiny_model: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    artifact = export_model(tiny_model, tmp_path / "artifact", **options)
    pushed = run("push", artifact, "owner/name")
    commit = hub.repositories["owner/name"].commit
    assert (pushed.returncode, pushed.stderr) == (0, "")
    count = len(contents(artifact))
    assert pushed.stdout == f"{hub.url}/owner/name: {count} files, {size(artifact)} MB, commit {commit}\n"
    assert published(hub) == contents(artifact)
    assert commits(hub) == ["POST /api/models/owner/name/commit/main"]

    pulled = run("pull", "owner/name", "-o", tmp_path / "copy")
    assert (pulled.returncode, pulled.stderr) == (0, "")
    assert pulled.stdout.endswith(f"copy: {count} files, {size(artifact)} MB, commit {commit}\n")
    assert contents(tmp_path / "copy") == contents(artifact)
    assert sorted(path.name for path in tmp_path.glob(".copy*")) == []
    assert not any(path.is_symlink() for path in (tmp_path / "copy").rglob("*"))
    assert run("verify", tmp_path / "copy").returncode == 0

    local, remote = (run("embed", model, "the value") for model in (artifact, "owner/name"))
    assert (remote.returncode, remote.stdout) == (0, local.stdout)


def size(folder: Path) -> str:
    return f"{sum(map(len, contents(folder).values())) / 1e6:.1f}"


def test_json(run: RunPortvec, hub: LocalHub, tiny: Path) -> None:
    pushed = json.loads(run("push", tiny, "owner/name", "--json").stdout)
    files, size = len(contents(tiny)), sum(map(len, contents(tiny).values()))
    commit = hub.repositories["owner/name"].commit
    same = {"repo_id": "owner/name", "commit": commit, "files": files, "bytes": size}
    assert pushed == {**same, "url": f"{hub.url}/owner/name"}
    pulled = json.loads(run("pull", "owner/name", "-o", "copy", "--json").stdout)
    assert pulled == {**same, "folder": "copy"}


def test_only_what_belongs_to_the_artifact(run: RunPortvec, hub: LocalHub, tiny: Path) -> None:
    expected = contents(tiny)
    (tiny / "notes.txt").write_text("secret")
    (tiny / ".env").write_text("TOKEN=secret")
    (tiny / "onnx" / "old.onnx").write_bytes(b"old")
    assert run("push", tiny, "owner/name").returncode == 0
    assert published(hub) == expected


def test_card_may_be_edited_before_and_on_the_hub(
    run: RunPortvec, hub: LocalHub, tiny: Path, tmp_path: Path
) -> None:
    card = (tiny / "README.md").read_text() + "\nEdited.\n"
    (tiny / "README.md").write_text(card)
    assert run("push", tiny, "owner/name").returncode == 0
    hub.repositories["owner/name"].files["README.md"] += b"On the web page too.\n"
    assert run("pull", "owner/name", "-o", tmp_path / "copy").returncode == 0
    assert (tmp_path / "copy" / "README.md").read_text() == card + "On the web page too.\n"
    assert run("embed", "owner/name", "x").returncode == 0


@pytest.mark.slow
def test_replaces_an_earlier_artifact_and_removes_its_files(
    run: RunPortvec, hub: LocalHub, tiny: Path, tiny_model: Path, tmp_path: Path
) -> None:
    hub.repositories["owner/name"] = Repository({"LICENSE": b"MIT"})
    assert run("push", tiny, "owner/name").returncode == 0
    before = hub.repositories["owner/name"].commit
    single = export_model(tiny_model, tmp_path / "single", single_file=True)
    assert "onnx/model.onnx_data" not in contents(single)
    assert run("push", single, "owner/name").returncode == 0
    assert published(hub) == {**contents(single), "LICENSE": b"MIT"}
    assert commits(hub) == ["POST /api/models/owner/name/commit/main"]

    assert run("pull", f"owner/name@{before}", "-o", tmp_path / "old").returncode == 0
    assert contents(tmp_path / "old") == contents(tiny)


def test_nothing_new_makes_no_commit(run: RunPortvec, hub: LocalHub, tiny: Path) -> None:
    first = run("push", tiny, "owner/name")
    again = run("push", tiny, "owner/name")
    assert (again.returncode, again.stdout, again.stderr) == (0, first.stdout, "")
    assert commits(hub) == []


@pytest.mark.slow
def test_branch(run: RunPortvec, hub: LocalHub, tiny: Path, tmp_path: Path) -> None:
    result = run("push", tiny, "owner/name", "--revision", "v/2", "--message", "Second try")
    assert result.returncode == 0
    repository = hub.repositories["owner/name"]
    assert published(hub) == {}
    assert repository.messages == ["Second try"]
    assert run("pull", "owner/name@v/2", "-o", tmp_path / "copy").returncode == 0
    assert contents(tmp_path / "copy") == contents(tiny)
    assert run("push", tiny, "owner/name", "--revision", "v/2").returncode == 0


def test_message_says_what_it_is(run: RunPortvec, hub: LocalHub, tiny: Path) -> None:
    run("push", tiny, "owner/name")
    assert hub.repositories["owner/name"].messages == ["Artifact of model: float32, 24 dimensions"]


def test_private(run: RunPortvec, hub: LocalHub, tiny: Path, tmp_path: Path) -> None:
    assert run("push", tiny, "owner/name", "--private").returncode == 0
    assert hub.repositories["owner/name"].private
    check_error(
        run("pull", "owner/name", "-o", tmp_path / "copy", HF_TOKEN=""),
        "owner/name: no such repository, or it is private; check the name, or pass --token",
    )
    token = ("--token", READ_TOKEN)
    assert run("pull", "owner/name", "-o", tmp_path / "copy", *token, HF_TOKEN="").returncode == 0
    assert run("push", tiny, "owner/name", "--private").returncode == 0


def test_private_into_a_public_repository(run: RunPortvec, hub: LocalHub, tiny: Path) -> None:
    hub.repositories["owner/name"] = Repository({})
    check_error(
        run("push", tiny, "owner/name", "--private"),
        "owner/name: exists and is public, but --private was given; make it private in its settings",
    )
    assert published(hub) == {}


def test_into_a_repository_of_another_model(
    run: RunPortvec, hub: LocalHub, tiny: Path, tiny_model: Path
) -> None:
    before = dict(hub.add_folder("owner/name", tiny_model).files)
    check_error(
        run("push", tiny, "owner/name"),
        "owner/name: holds files but no portvec.json (config.json, model.safetensors, ",
    )
    assert published(hub) == before
    check_error(run("push", tiny, "owner/name", "--revision", "onnx"), "owner/name@onnx: holds files but no")
    assert hub.repositories["owner/name"].at("onnx") is None


def test_somebody_else_commits_meanwhile(run: RunPortvec, hub: LocalHub, tiny: Path) -> None:
    hub.repositories["owner/name"] = repository = Repository({"README.md": b"old"})
    hub.intrude = lambda: repository.files.update({"README.md": b"new"})
    check_error(
        run("push", tiny, "owner/name"),
        "another commit arrived meanwhile, and nothing was changed",
    )
    assert published(hub) == {"README.md": b"new"}
    hub.intrude = None
    assert run("push", tiny, "owner/name").returncode == 0
    assert published(hub) == contents(tiny)


def test_damaged_artifact_is_not_sent(run: RunPortvec, hub: LocalHub, tiny: Path) -> None:
    table = tiny / "onnx" / "model.onnx_data"
    table.write_bytes(bytes(table.stat().st_size))
    check_error(run("push", tiny, "owner/name"), "model.onnx_data: content differs from what was exported")
    assert hub.requests == []


def test_vectors_that_are_wrong_here_are_not_sent(run: RunPortvec, hub: LocalHub, tiny: Path) -> None:
    conformance = tiny / "conformance.json"
    document = json.loads(conformance.read_text())
    document["texts"][3]["embedding"][0] += 1
    conformance.write_text(json.dumps(document))
    manifest = json.loads((tiny / "portvec.json").read_text())
    content = conformance.read_bytes()

    record = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    manifest["files"]["conformance.json"] = record
    (tiny / "portvec.json").write_text(json.dumps(manifest))
    check_error(run("push", tiny, "owner/name"), "the embedding of recorded text 3 differs by")
    assert hub.requests == []


def test_not_an_artifact(run: RunPortvec, hub: LocalHub, tiny_model: Path) -> None:
    check_error(run("push", tiny_model, "owner/name"), "no portvec.json, so this is not a portvec artifact")
    assert hub.requests == []


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_card_that_is_a_link(run: RunPortvec, hub: LocalHub, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tiny / "README.md").unlink()
    (tiny / "README.md").symlink_to(tmp_path / "secret")
    check_error(run("push", tiny, "owner/name"), "README.md: a link, which may lead to any file")
    assert hub.requests == []


def test_no_token(run: RunPortvec, hub: LocalHub, tiny: Path) -> None:
    check_error(
        run("push", tiny, "owner/name", HF_TOKEN=""),
        "owner/name: pushing needs a token with write access; run 'hf auth login', or pass --token",
    )
    assert hub.requests == []
    assert run("push", tiny, "owner/name", "--token", TOKEN, HF_TOKEN="").returncode == 0


def test_wrong_token(run: RunPortvec, hub: LocalHub, tiny: Path) -> None:
    check_error(
        run("push", tiny, "owner/name", "--token", "hf_wrong"),
        f"owner/name: {hub.url} does not accept the token, or hides the repository from it; run 'hf auth",
    )
    assert "hf_wrong" not in run("push", tiny, "owner/name", "--token", "hf_wrong").stderr


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("case", ["read-only token", "other owner"])
def test_no_right_to_write(run: RunPortvec, hub: LocalHub, tiny: Path, exists: bool, case: str) -> None:
    owner = "stranger" if case == "other owner" else "owner"
    if exists:
        hub.repositories[f"{owner}/name"] = Repository({})
    result = run("push", tiny, f"{owner}/name", HF_TOKEN=TOKEN if owner == "stranger" else READ_TOKEN)
    check_error(
        result,
        f"{owner}/name: the token may not write to {owner}/name; use one with write access to {owner}",
    )
    held = {name: published(hub, name) for name in hub.repositories}
    assert held == ({f"{owner}/name": {}} if exists else {})


def test_card_with_damaged_front_matter(run: RunPortvec, hub: LocalHub, tiny: Path) -> None:
    (tiny / "README.md").write_text("---\nlicense: [1, 2]\n---\n")
    check_error(
        run("push", tiny, "owner/name"), "owner/name: the Hub refuses the front matter of README.md ("
    )
    assert published(hub) == {}


def test_offline(run: RunPortvec, hub: LocalHub, tiny: Path) -> None:
    check_error(
        run("push", tiny, "owner/name", HF_HUB_OFFLINE="1"),
        "owner/name: HF_HUB_OFFLINE is set, but push needs the network; unset it",
    )
    assert hub.requests == []


def test_no_network(run: RunPortvec, tiny: Path) -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    check_error(
        run("push", tiny, "owner/name", HF_ENDPOINT=url),
        f"owner/name: cannot be pushed to {url} (ConnectError",
    )


def test_not_a_hub_id(run: RunPortvec, hub: LocalHub, tiny: Path) -> None:
    check_error(run("push", tiny, "name"), "name: not a Hub id; expected owner/name")
    assert hub.requests == []
    for name in ("a/b/c", "owner/na me", "-/x", "owner/name@", "../name"):
        with pytest.raises(SourceError, match="not a Hub id; expected owner/name or owner/name@revision"):
            parse_hub_id(name)
