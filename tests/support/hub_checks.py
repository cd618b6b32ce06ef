"""What tests of commands that talk to the Hub share."""

from __future__ import annotations

import socket
import subprocess
from typing import Any

from command_line import RunPortvec
from hub_repository import TOKEN
from hub_server import LocalHub


def anonymous(portvec: RunPortvec, hub: LocalHub) -> RunPortvec:
    """Return the command line with the local Hub, and no token."""

    def run(*args: object, **env: Any) -> subprocess.CompletedProcess[str]:
        hub.requests.clear()
        settings = {
            "HF_ENDPOINT": hub.url,
            "HF_HUB_DOWNLOAD_TIMEOUT": "5",  # and not ten seconds for a dead connection
            "HF_HUB_DISABLE_XET": "1",  # which the local Hub does not offer
            "PORTVEC_CACHE": "",
        }
        return portvec(*args, **{**settings, **env})

    return run


def logged_in(portvec: RunPortvec, hub: LocalHub) -> RunPortvec:
    """Return the command line with the local Hub, and a token that may write."""
    run = anonymous(portvec, hub)
    return lambda *args, **env: run(*args, **{"HF_TOKEN": TOKEN, **env})


def published(hub: LocalHub, repo_id: str = "owner/name") -> dict[str, bytes]:
    """Return the files of a repository without the Hub's own."""
    files = hub.repositories[repo_id].files
    return {name: content for name, content in files.items() if name != ".gitattributes"}


def check_error(result: subprocess.CompletedProcess[str], message: str) -> None:
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("portvec: error: ")
    assert message in result.stderr


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
