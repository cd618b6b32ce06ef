"""A Hub on localhost: the part of the Hub's HTTP API that huggingface_hub downloads and uploads through."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import hub_uploads
from folders import contents
from hub_repository import READ_TOKEN, TOKEN, Repository, commit_of, git_hash


@dataclass
class LocalHub:
    """The server's state, which tests change while it runs.

    Attributes:
        repositories: by id, owner/name.
        requests: method and path of each request so far.
        delay: seconds to wait before each answer.
        drops: how many file downloads to break off half-way.
        refusals: headers of answers with status 429, each given once instead of a file.
        objects: uploaded large files by SHA-256, which a commit may refer to.
        intrude: called before a commit is made, as if somebody else were faster.
    """

    repositories: dict[str, Repository] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    delay: float = 0.0
    drops: int = 0
    refusals: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    intrude: Callable[[], object] | None = None

    def add_folder(self, repo_id: str, folder: Path, **options: Any) -> Repository:
        self.repositories[repo_id] = Repository(contents(folder), **options)
        return self.repositories[repo_id]

    def serve(self) -> ThreadingHTTPServer:
        hub = self

        class Handler(_Handler):
            state = hub

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: LocalHub

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        quoted = urlsplit(self.path).path
        self.state.requests.append(f"{self.command} {unquote(quoted)}")
        time.sleep(self.state.delay)
        parts = [unquote(part) for part in quoted.strip("/").split("/")]  # a branch may hold a slash
        if parts[:2] == ["api", "models"]:
            # /api/models/owner/name[/revision/R] and /api/models/owner/name/tree/R
            repo_id, rest = "/".join(parts[2:4]), parts[4:]
            revision = rest[1] if len(rest) > 1 else "main"
            repository = self._repository(repo_id)
            files = self._files(repository, revision) if repository else None
            if repository is not None and files is not None:
                tree = rest[:1] == ["tree"]
                self._json(_tree(files) if tree else _info(repo_id, repository, files))
        elif len(parts) > 4 and parts[2] == "resolve":
            repository = self._repository("/".join(parts[:2]))
            files = self._files(repository, parts[3]) if repository else None
            if files is not None:
                self._file(files, "/".join(parts[4:]))
        else:
            self._error(404, "EntryNotFound", "no such page")

    def do_POST(self) -> None:
        self._answer_upload()

    def do_PUT(self) -> None:
        self._answer_upload()

    def _answer_upload(self) -> None:
        quoted = urlsplit(self.path).path
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.state.requests.append(f"{self.command} {unquote(quoted)}")
        time.sleep(self.state.delay)
        parts = [unquote(part) for part in quoted.strip("/").split("/")]
        answer = hub_uploads.answer(self.state, self.command, parts, body, self._token)
        if isinstance(answer, hub_uploads.Refusal):
            self._error(answer.status, answer.code, answer.message)
        else:
            self._json(*answer)

    @property
    def _token(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def _repository(self, repo_id: str) -> Repository | None:
        repository = self.state.repositories.get(repo_id)
        known = self._token in (TOKEN, READ_TOKEN)
        if repository is None or (repository.private and not known):
            # The Hub does not tell a stranger whether a repository is missing or private.
            self._error(404 if known else 401, "RepoNotFound", "Repository not found")
        elif repository.gated and self._token != TOKEN:
            self._error(401, "GatedRepo", f"Access to model {repo_id} is restricted.")
        else:
            return repository
        return None

    def _files(self, repository: Repository, revision: str) -> dict[str, bytes] | None:
        files = repository.at(revision)
        if files is None:
            self._error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return files

    def _file(self, files: dict[str, bytes], path: str) -> None:
        content = files.get(path)
        if content is None:
            self._error(404, "EntryNotFound", f"{path} does not exist")
            return
        if self.state.refusals:
            self._error(429, "", "too many requests", self.state.refusals.pop(0))
            return
        start, status = 0, 200
        if (wanted := self.headers.get("Range", "")).startswith("bytes="):
            start, status = int(wanted[len("bytes=") :].split("-")[0]), 206
        self.send_response(status)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", commit_of(files))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(content) - start))
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.state.drops > 0 and len(content) > 100_000:
            self.state.drops -= 1
            self.wfile.write(content[start : start + (len(content) - start) // 2])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self.wfile.write(content[start:])

    def _json(self, value: Any, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _error(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        body = json.dumps({"error": message}).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", message)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _info(repo_id: str, repository: Repository, files: dict[str, bytes]) -> dict[str, Any]:
    return {
        "_id": commit_of(files)[:24],
        "id": repo_id,
        "modelId": repo_id,
        "sha": commit_of(files),
        "private": repository.private,
        "gated": "manual" if repository.gated else False,
        "tags": [],
        "downloads": 0,
        "likes": 0,
        "siblings": [{"rfilename": path} for path in sorted(files)],
    }


def _tree(files: dict[str, bytes]) -> list[dict[str, Any]]:
    return [
        {"type": "file", "path": path, "size": len(content), "oid": git_hash(content)}
        for path, content in sorted(files.items())
    ]
