"""A Hub on localhost: the part of the Hub's HTTP API that huggingface_hub downloads through."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_local_test_token"


@dataclass
class Repository:
    """One repository with a single commit.

    Attributes:
        files: contents by path.
        gated: asks for a token, and answers 401 or 403 as the Hub does for gated models.
    """

    files: dict[str, bytes]
    gated: bool = False
    branches: tuple[str, ...] = ("main",)

    @property
    def commit(self) -> str:
        digest = hashlib.sha1(usedforsecurity=False)
        for path, content in sorted(self.files.items()):
            digest.update(path.encode() + b"\0" + content)
        return digest.hexdigest()


@dataclass
class LocalHub:
    """The server's state, which tests change while it runs.

    Attributes:
        repositories: by id, owner/name.
        requests: method and path of each request so far.
        delay: seconds to wait before each answer.
        drops: how many file downloads to break off half-way.
    """

    repositories: dict[str, Repository] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    delay: float = 0.0
    drops: int = 0
    url: str = ""

    def add_folder(self, repo_id: str, folder: Path, **options: Any) -> Repository:
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
        self.repositories[repo_id] = Repository(files, **options)
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
        path = unquote(urlsplit(self.path).path)
        self.state.requests.append(f"{self.command} {path}")
        time.sleep(self.state.delay)
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            # /api/models/owner/name[/revision/R] and /api/models/owner/name/tree/R
            repo_id, rest = "/".join(parts[2:4]), parts[4:]
            revision = rest[1] if len(rest) > 1 else "main"
            repository = self._repository(repo_id, revision)
            if repository is not None:
                tree = rest[:1] == ["tree"]
                self._json(_tree(repository) if tree else _info(repo_id, repository))
        elif len(parts) > 4 and parts[2] == "resolve":
            repository = self._repository("/".join(parts[:2]), parts[3])
            if repository is not None:
                self._file(repository, "/".join(parts[4:]))
        else:
            self._error(404, "EntryNotFound", "no such page")

    def _repository(self, repo_id: str, revision: str) -> Repository | None:
        repository = self.state.repositories.get(repo_id)
        if repository is None:
            # The Hub does not tell a stranger whether a repository is missing or private.
            self._error(401, "RepoNotFound", "Invalid username or password.")
        elif repository.gated and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._error(401, "GatedRepo", f"Access to model {repo_id} is restricted.")
        elif revision not in (*repository.branches, repository.commit):
            self._error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        else:
            return repository
        return None

    def _file(self, repository: Repository, path: str) -> None:
        content = repository.files.get(path)
        if content is None:
            self._error(404, "EntryNotFound", f"{path} does not exist")
            return
        start, status = 0, 200
        if (wanted := self.headers.get("Range", "")).startswith("bytes="):
            start, status = int(wanted[len("bytes=") :].split("-")[0]), 206
        self.send_response(status)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", repository.commit)
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

    def _json(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _error(self, status: int, code: str, message: str) -> None:
        body = json.dumps({"error": message}).encode()
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", message)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _info(repo_id: str, repository: Repository) -> dict[str, Any]:
    return {
        "_id": repository.commit[:24],
        "id": repo_id,
        "modelId": repo_id,
        "sha": repository.commit,
        "private": False,
        "gated": "manual" if repository.gated else False,
        "tags": [],
        "downloads": 0,
        "likes": 0,
        "siblings": [{"rfilename": path} for path in sorted(repository.files)],
    }


def _tree(repository: Repository) -> list[dict[str, Any]]:
    return [
        {
            "type": "file",
            "path": path,
            "size": len(content),
            "oid": hashlib.sha1(content, usedforsecurity=False).hexdigest(),
        }
        for path, content in sorted(repository.files.items())
    ]
