"""The part of the Hub's HTTP API that huggingface_hub uploads through; Xet storage is not offered."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from huggingface_hub import ModelCard

from hub_repository import READ_TOKEN, TOKEN, Repository, commit_of, git_hash

if TYPE_CHECKING:
    from hub_server import LocalHub

# Names in which the token of the tests may write.
WRITABLE = ("owner",)


class Refusal(NamedTuple):
    status: int
    code: str
    message: str


class Answer(NamedTuple):
    value: Any
    status: int = 200


def answer(hub: LocalHub, method: str, parts: list[str], body: bytes, token: str) -> Answer | Refusal:
    """Answer a POST or PUT to the path of these parts."""
    if method == "PUT" and parts[0] == "lfs":  # a signed address: without a token
        if hashlib.sha256(body).hexdigest() != parts[1]:
            return Refusal(400, "", "content does not have the hash")
        hub.objects[parts[1]] = body
        return Answer({})
    if refusal := _unauthorized(hub, parts, body, token):
        return refusal
    if parts == ["api", "validate-yaml"]:
        return _validate_card(json.loads(body)["content"])
    if parts == ["api", "repos", "create"]:
        return _create(hub, json.loads(body))
    if parts[2:] == ["info", "lfs", "objects", "batch"]:
        return _batch(hub, json.loads(body))
    repo_id, action, revision = "/".join(parts[2:4]), parts[4], parts[5]
    repository = hub.repositories.get(repo_id)
    if repository is None:
        return Refusal(404, "RepoNotFound", "Repository not found")
    if action == "branch":
        if repository.at(revision) is not None:
            return Refusal(409, "", "Reference already exists")
        repository.own[revision] = repository.files
        return Answer({})
    files = repository.at(revision)
    if files is None:
        return Refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
    if action == "preupload":
        return _preupload(files, json.loads(body)["files"])
    if hub.intrude:
        hub.intrude()
    return _commit(hub, repo_id, repository, revision, [json.loads(line) for line in body.splitlines()])


def _unauthorized(hub: LocalHub, parts: list[str], body: bytes, token: str) -> Refusal | None:
    if token not in (TOKEN, READ_TOKEN):
        return Refusal(401, "", "Invalid credentials in Authorization header")
    if parts == ["api", "validate-yaml"]:
        return None
    if parts == ["api", "repos", "create"]:
        owner = json.loads(body)["organization"]
    else:
        owner = parts[2] if parts[0] == "api" else parts[0]
    if owner not in WRITABLE or token == READ_TOKEN:
        message = f'You don\'t have the rights to create a model under the namespace "{owner}"'
        return Refusal(403, "", message)
    return None


def _validate_card(text: str) -> Answer:
    try:
        licence = ModelCard(text).data.get("license", "")
        if not isinstance(licence, str):
            raise ValueError('"license" must be a string')
    except Exception as error:  # whatever the YAML parser raises
        return Answer({"errors": [{"message": str(error)}], "warnings": []}, 400)
    return Answer({"errors": [], "warnings": []})


def _create(hub: LocalHub, wanted: dict[str, Any]) -> Answer:
    repo_id = f"{wanted['organization']}/{wanted['name']}"
    exists = repo_id in hub.repositories
    if not exists:
        # Clients before version 2 say private, later ones visibility.
        private = bool(wanted.get("private")) or wanted.get("visibility") == "private"
        hub.repositories[repo_id] = Repository({".gitattributes": b"*.onnx filter=lfs\n"}, private=private)
    return Answer({"url": f"{hub.url}/{repo_id}"}, 409 if exists else 200)


def _batch(hub: LocalHub, wanted: dict[str, Any]) -> Answer:
    objects: list[dict[str, Any]] = []
    for entry in wanted["objects"]:
        upload = {"upload": {"href": f"{hub.url}/lfs/{entry['oid']}", "header": {}}}
        objects.append(entry if entry["oid"] in hub.objects else {**entry, "actions": upload})
    return Answer({"transfer": "basic", "objects": objects})


def _preupload(files: dict[str, bytes], wanted: list[dict[str, Any]]) -> Answer:
    answers = []
    for entry in wanted:
        # The Hub looks at the name, the size and a sample of the content.
        large = entry["size"] > 5_000_000 or b"\0" in base64.b64decode(entry["sample"])
        content = files.get(entry["path"])
        known = None
        if content is not None:
            known = hashlib.sha256(content).hexdigest() if large else git_hash(content)
        mode = "lfs" if large else "regular"
        answers.append({"path": entry["path"], "uploadMode": mode, "shouldIgnore": False, "oid": known})
    return Answer({"files": answers})


def _commit(
    hub: LocalHub, repo_id: str, repository: Repository, revision: str, lines: list[dict[str, Any]]
) -> Answer | Refusal:
    before = repository.at(revision) or {}
    header = lines[0]["value"]
    if header.get("parentCommit", commit_of(before)) != commit_of(before):
        return Refusal(412, "", "A commit has happened since. Please refresh and try again.")
    after = dict(before)
    for line in lines[1:]:
        value = line["value"]
        if line["key"] == "file":
            after[value["path"]] = base64.b64decode(value["content"])
        elif line["key"] == "lfsFile":
            if value["oid"] not in hub.objects:
                return Refusal(400, "", f"{value['path']}: no such object")
            after[value["path"]] = hub.objects[value["oid"]]
        else:
            assert line["key"] == "deletedFile", line
            del after[value["path"]]
    repository.past.append(before)
    repository.messages.append(header["summary"])
    if revision == "main":
        repository.files = after
    else:
        repository.own[revision] = after
    oid = commit_of(after)
    return Answer({"commitUrl": f"{hub.url}/{repo_id}/commit/{oid}", "commitOid": oid})
