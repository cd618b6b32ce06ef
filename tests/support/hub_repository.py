"""The repositories of the Hub on localhost."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

TOKEN = "hf_local_test_token"
READ_TOKEN = "hf_local_read_token"


@dataclass
class Repository:
    """One repository.

    Attributes:
        files: contents by path, on the main branch.
        gated: asks for a token, and answers 401 or 403 as the Hub does for gated models.
        branches: names that stand for the main branch, until something is committed to them.
        private: hidden from those without a token.
        own: contents by path of branches that left the main one.
        past: contents by path of earlier commits.
        messages: of the commits made through the API, oldest first.
    """

    files: dict[str, bytes]
    gated: bool = False
    branches: tuple[str, ...] = ("main",)
    private: bool = False
    own: dict[str, dict[str, bytes]] = field(default_factory=dict)
    past: list[dict[str, bytes]] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    @property
    def commit(self) -> str:
        return commit_of(self.files)

    def at(self, revision: str) -> dict[str, bytes] | None:
        """Return the files of a branch or commit, or None if there is no such one."""
        if revision in self.own:
            return self.own[revision]
        if revision in ("main", *self.branches):
            return self.files
        every = [self.files, *self.own.values(), *self.past]
        return next((files for files in every if commit_of(files) == revision), None)


def commit_of(files: dict[str, bytes]) -> str:
    digest = hashlib.sha1(usedforsecurity=False)
    for path, content in sorted(files.items()):
        digest.update(path.encode() + b"\0" + content)
    return digest.hexdigest()


def git_hash(content: bytes) -> str:
    blob = b"blob %d\0" % len(content) + content
    return hashlib.sha1(blob, usedforsecurity=False).hexdigest()
