"""Models on the Hub: the real huggingface_hub client against a Hub on localhost."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import tiny_models
from command_line import RunPortvec
from folders import contents
from hub_checks import anonymous, check_error, closed_port
from hub_repository import TOKEN, Repository
from hub_server import LocalHub
from portvec import verify
from portvec.errors import ArtifactError


@pytest.fixture
def run(portvec_process: RunPortvec, hub: LocalHub) -> RunPortvec:
    return anonymous(portvec_process, hub)


def test_model2vec_model_is_converted_once_and_then_needs_no_network(
    run: RunPortvec, hub: LocalHub, tiny_model: Path, tmp_path: Path
) -> None:
    commit = hub.add_folder("owner/model", tiny_model).commit
    first = run("embed", "owner/model", "the value")
    assert (first.returncode, first.stderr) == (0, "")
    assert any("model.safetensors" in request for request in hub.requests)

    again = run("embed", "owner/model", "the value", HF_ENDPOINT="http://127.0.0.1:9")
    offline = run("embed", "owner/model", "the value", HF_HUB_OFFLINE="1")
    assert again.stdout == offline.stdout == first.stdout
    assert hub.requests == []

    manifests = list((tmp_path / "home" / ".cache" / "portvec" / "models").glob("*/portvec.json"))
    source = json.loads(manifests[0].read_text())["source"]
    assert (len(manifests), source["id"], source["revision"]) == (1, "owner/model", commit)


def test_artifact_is_used_as_it_is_in_real_files(
    run: RunPortvec, hub: LocalHub, tiny: Path, tmp_path: Path
) -> None:
    hub.add_folder("owner/artifact", tiny)
    hub.repositories["owner/artifact"].files["unrelated.bin"] = b"x" * 1000
    local = run("embed", tiny, "the value")
    remote = run("embed", "owner/artifact", "the value")
    assert remote.stdout == local.stdout
    assert not any("unrelated.bin" in request for request in hub.requests)
    assert run("embed", "owner/artifact", "the value", HF_HUB_OFFLINE="1").stdout == local.stdout
    (copy,) = (tmp_path / "home" / ".cache" / "portvec" / "models").iterdir()
    assert not any(path.is_symlink() for path in copy.rglob("*"))
    assert contents(copy) == contents(tiny)


def test_damaged_artifact_on_the_hub_is_not_kept(
    run: RunPortvec, hub: LocalHub, tiny: Path, tmp_path: Path
) -> None:
    files = hub.add_folder("owner/artifact", tiny).files
    files["onnx/model.onnx_data"] = bytes(len(files["onnx/model.onnx_data"]))
    result = run("embed", "owner/artifact", "x")
    assert result.returncode == 1
    assert "model.onnx_data: content differs from what was exported (SHA-256)" in result.stderr
    assert not list((tmp_path / "home" / ".cache" / "portvec" / "models").glob("*"))


def test_damaged_file_in_the_cache_of_huggingface_hub(
    run: RunPortvec, hub: LocalHub, tiny: Path, tmp_path: Path
) -> None:
    """huggingface_hub does not download a file again that is there, whatever is in it."""
    hub.add_folder("owner/artifact", tiny)
    expected = run("embed", "owner/artifact", "the value").stdout
    (blob,) = (tmp_path / "home" / ".cache" / "huggingface").rglob("tokenizer.json")
    content = blob.read_bytes()
    blob.resolve().write_bytes(content[:-100])  # the conversion has the same file, by a hard link
    repository = tmp_path / "home" / ".cache" / "huggingface" / "hub" / "models--owner--artifact"
    result = run("embed", "owner/artifact", "the value")
    check_error(result, f"the conversion cannot be made again (owner/artifact: {repository}")
    assert f"; delete {repository} to download it again, or tell the owner" in result.stderr
    shutil.rmtree(repository)
    assert run("embed", "owner/artifact", "the value").stdout == expected


@pytest.mark.parametrize("kind", ["artifact", "model"])
def test_damaged_conversion_is_made_again_from_the_cache_of_huggingface_hub(
    run: RunPortvec, hub: LocalHub, tiny: Path, tiny_model: Path, tmp_path: Path, kind: str
) -> None:
    hub.add_folder("owner/name", tiny if kind == "artifact" else tiny_model)
    expected = run("embed", "owner/name", "the value").stdout
    (conversion,) = (tmp_path / "home" / ".cache" / "portvec" / "models").iterdir()
    (conversion / "tokenizer.json").unlink()
    assert run("embed", "owner/name", "the value", HF_HUB_OFFLINE="1").stdout == expected
    (conversion / "tokenizer.json").unlink()
    shutil.rmtree(tmp_path / "home" / ".cache" / "huggingface")
    offline = run("embed", "owner/name", "the value", HF_HUB_OFFLINE="1")
    check_error(
        offline,
        f"{conversion / 'tokenizer.json'}: missing, but listed in portvec.json, and the conversion cannot be "
        "made again (owner/name: not in the cache, and HF_HUB_OFFLINE is set; unset it once to download",
    )
    assert run("embed", "owner/name", "the value").stdout == expected


@pytest.mark.parametrize("revision", ["v1", "commit"])
def test_revision_by_option_and_in_the_id(
    run: RunPortvec, hub: LocalHub, tiny_model: Path, tmp_path: Path, revision: str
) -> None:
    repository = hub.add_folder("owner/model", tiny_model, branches=("v1",))
    revision = repository.commit if revision == "commit" else revision
    assert run("embed", f"owner/model@{revision}", "x").returncode == 0
    output = tmp_path / "artifact"
    assert run("export", "owner/model", "--revision", revision, "-o", output).returncode == 0
    assert json.loads((output / "portvec.json").read_text())["source"]["revision"] == repository.commit


def test_subfolder(run: RunPortvec, hub: LocalHub, tiny_model: Path, tmp_path: Path) -> None:
    hub.add_folder("owner/model", tiny_model)
    files = hub.repositories["owner/model"].files
    hub.repositories["owner/models"] = Repository({f"small/{name}": data for name, data in files.items()})
    result = run("export", "owner/models", "--subfolder", "small", "-o", tmp_path / "artifact")
    assert result.returncode == 0
    result = run("export", "owner/models", "-o", tmp_path / "other")
    assert result.returncode == 1
    assert "owner/models: neither a Model2Vec model (model.safetensors, config.json" in result.stderr


def test_cache_that_holds_only_some_files_is_completed(
    run: RunPortvec, hub: LocalHub, tiny_model: Path, tmp_path: Path
) -> None:
    hub.add_folder("owner/model", tiny_model)
    assert run("export", "owner/model", "-o", tmp_path / "first").returncode == 0
    (tensors,) = (tmp_path / "home" / ".cache" / "huggingface").rglob("model.safetensors")
    tensors.resolve().unlink()
    tensors.unlink()
    assert run("export", "owner/model", "-o", tmp_path / "second").returncode == 0
    assert any(request.startswith("GET") and "model.safetensors" in request for request in hub.requests)


# What each command needs besides a model.
COMMANDS = {
    "info": [],
    "verify": [],
    "embed": ["the value"],
    "search": ["the value", "-i", "texts.txt"],
    "bench": ["-i", "texts.txt", "--seconds", "0"],
    "export": ["-o", "out", "--overwrite"],
}


@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - {"export"}))
def test_every_command_takes_an_artifact_on_the_hub(
    run: RunPortvec, hub: LocalHub, tiny: Path, tmp_path: Path, command: str
) -> None:
    (tmp_path / "texts.txt").write_text("the value\n", encoding="utf-8")
    parts = {f"sub/{name}": content for name, content in contents(tiny).items()}
    hub.repositories["owner/gated"] = Repository(parts, gated=True)
    options = ["--revision", "main", "--subfolder", "sub", "--token", TOKEN, "--quiet"]
    local = run(command, tiny, *COMMANDS[command])
    remote = run(command, "owner/gated", *COMMANDS[command], *options)
    assert (remote.returncode, remote.stderr) == (0, "")
    if command in ("info", "embed", "search"):
        assert remote.stdout == local.stdout
    offline = run(
        command,
        "owner/gated",
        *COMMANDS[command],
        "--subfolder",
        "sub",
        "--revision=main",
        HF_HUB_OFFLINE="1",
    )
    assert offline.returncode == 0
    check_error(run(command, "owner/gated", *COMMANDS[command], "--revision", "v9"), "owner/gated")


@pytest.mark.parametrize("command", ["info", "verify"])
def test_commands_that_look_at_artifacts_do_not_convert(
    run: RunPortvec, hub: LocalHub, tiny_model: Path, tmp_path: Path, command: str
) -> None:
    hub.add_folder("owner/model", tiny_model)
    hub.repositories["owner/model"].files["sub/x"] = b""
    for source, options in (("owner/model", ""), (tiny_model, ""), (tmp_path, "--subfolder tiny-model")):
        given = f"{source} {options}".strip()
        check_error(
            run(command, *given.split()),
            f"{source}: a Model2Vec model that is not converted yet; run "
            f"'portvec export {given} -o DIR', and give DIR instead",
        )
    assert not any("model.safetensors" in request for request in hub.requests)
    run("embed", "owner/model", "x")
    assert run(command, "owner/model").returncode == 0
    assert run("embed", tiny_model, "x").returncode == 0
    assert run(command, tiny_model).returncode == 0


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("source", ["nowhere", "./nowhere", "/no/where", "a/b/c"])
def test_folder_that_is_not_there(portvec: RunPortvec, command: str, source: str, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("the value\n", encoding="utf-8")
    message = f"{source}: no such folder; expected an existing model folder or a Hub id owner/name"
    check_error(portvec(command, source, *COMMANDS[command]), message)


def test_folder_that_is_not_there_where_only_a_folder_will_do(
    portvec: RunPortvec, tiny: Path, tmp_path: Path
) -> None:
    check_error(
        portvec("push", "no/where", "owner/name"),
        "no/where: no such folder; expected an existing artifact folder",
    )
    for command in ("info", "embed", "export"):
        check_error(
            portvec(command, tiny, *COMMANDS[command], "--subfolder", "sub"),
            f"{tiny / 'sub'}: no such folder; expected an existing model folder",
        )
    with pytest.raises(
        ArtifactError, match=r"^nowhere: no such folder; expected an existing artifact folder$"
    ):
        verify("nowhere")


class TestErrors:
    def test_no_such_repository(self, run: RunPortvec) -> None:
        check_error(
            run("embed", "owner/missing", "x"),
            "owner/missing: no such repository, or it is private; check the name, or pass --token",
        )

    def test_gated(self, run: RunPortvec, hub: LocalHub, tiny_model: Path) -> None:
        hub.add_folder("owner/gated", tiny_model, gated=True)
        check_error(
            run("embed", "owner/gated", "x"),
            "owner/gated: access to owner/gated is restricted; request it on the Hub",
        )
        assert run("embed", "owner/gated", "x", HF_TOKEN=TOKEN).returncode == 0

    def test_gated_with_token_option(
        self, run: RunPortvec, hub: LocalHub, tiny_model: Path, tmp_path: Path
    ) -> None:
        hub.add_folder("owner/gated", tiny_model, gated=True)
        result = run("export", "owner/gated", "--token", TOKEN, "-o", tmp_path / "artifact")
        assert result.returncode == 0

    def test_no_such_revision(self, run: RunPortvec, hub: LocalHub, tiny_model: Path) -> None:
        hub.add_folder("owner/model", tiny_model)
        check_error(
            run("embed", "owner/model@v9", "x"),
            "owner/model@v9: the repository has no revision 'v9'; check the branch, tag or commit",
        )

    def test_neither_kind(self, run: RunPortvec, hub: LocalHub) -> None:
        hub.repositories["owner/other"] = Repository({"weights.bin": b"", "README.md": b""})
        check_error(
            run("embed", "owner/other", "x"),
            "owner/other: neither a Model2Vec model (model.safetensors, config.json, tokenizer.json, or "
            "sentence-transformers' StaticEmbedding layout of them) nor a portvec artifact (portvec.json); "
            "has README.md, weights.bin",
        )

    def test_offline_with_a_cold_cache(self, run: RunPortvec, hub: LocalHub, tiny_model: Path) -> None:
        hub.add_folder("owner/model", tiny_model)
        check_error(
            run("embed", "owner/model", "x", HF_HUB_OFFLINE="1"),
            "owner/model: not in the cache, and HF_HUB_OFFLINE is set; unset it once to download the model",
        )
        assert hub.requests == []

    def test_no_network(self, run: RunPortvec) -> None:
        url = f"http://127.0.0.1:{closed_port()}"
        check_error(
            run("embed", "owner/model", "x", HF_ENDPOINT=url),
            f"owner/model: cannot be fetched from {url} (ConnectError: [Errno 111] Connection refused)",
        )


@pytest.mark.slow
def test_slow_answers(run: RunPortvec, hub: LocalHub, tiny_model: Path) -> None:
    hub.add_folder("owner/model", tiny_model)
    hub.delay = 0.3
    assert run("embed", "owner/model", "x").returncode == 0


@pytest.mark.slow
def test_dropped_connection_is_resumed(run: RunPortvec, hub: LocalHub, tmp_path: Path) -> None:
    source = tiny_models.save(tmp_path / "wide", vectors=tiny_models.vectors(800, dim=256))
    hub.add_folder("owner/model", source)
    hub.drops = 1
    broken = run("embed", "owner/model", "the value")
    assert hub.drops == 0
    if broken.returncode == 1:  # huggingface_hub before 1.20 does not try again by itself
        assert "owner/model: cannot be fetched from http" in broken.stderr
        broken = run("embed", "owner/model", "the value")
    assert broken.returncode == 0
    assert broken.stdout == run("embed", source, "the value").stdout


def test_id_is_a_hub_id_although_a_folder_of_the_owner_exists(
    run: RunPortvec, hub: LocalHub, tiny_model: Path, tmp_path: Path
) -> None:
    hub.add_folder("owner/model", tiny_model)
    (tmp_path / "owner").mkdir()
    refused = run("embed", "owner/model", "x")
    assert refused.returncode == 1
    assert "write owner/model@main for the Hub's model" in refused.stderr
    assert hub.requests == []
    assert run("embed", "owner/model@main", "x").returncode == 0


def test_contradicting_revisions(run: RunPortvec, tmp_path: Path) -> None:
    result = run("export", "owner/model@v1", "--revision", "v2", "-o", tmp_path / "artifact")
    assert result.returncode == 1
    assert "the id has revision 'v1', but --revision 'v2' was given as well; give one of" in result.stderr
