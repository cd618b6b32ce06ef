"""What a user names: an existing folder, or a repository on the Hub."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from portvec._artifact.folder import artifact_appears
from portvec._artifact.paths import expand_home
from portvec._messages import no_such_folder
from portvec.errors import OptionError, SourceError

# What huggingface_hub allows: letters, digits, -, _ and . on both sides of one slash.
# `re` compiles the pattern when it is first used, which is never for a folder.
_HUB_ID = r"(?a)(?P<repo>[A-Za-z0-9][\w.-]*/[\w.-]*[\w-])(@(?P<revision>.+))?"


@dataclass(frozen=True)
class HubId:
    """A place on the Hub.

    Attributes:
        repo_id: the repository, `owner/name`.
        revision: a branch, tag or commit; None for its main branch.
        subfolder: a folder in the repository; None for its root.
    """

    repo_id: str
    revision: str | None = None
    subfolder: str | None = None

    @property
    def name(self) -> str:
        """`owner/name` or `owner/name@revision`, as users write it."""
        return f"{self.repo_id}@{self.revision}" if self.revision else self.repo_id

    @property
    def prefix(self) -> str:
        """What the paths of all files in the folder begin with."""
        return f"{self.subfolder}/" if self.subfolder else ""

    def __str__(self) -> str:
        return self.name + (f", folder {self.subfolder}" if self.subfolder else "")


def locate(
    source: str | os.PathLike[str], revision: str | None = None, subfolder: str | None = None
) -> Path | HubId:
    """Return the existing folder, or else the place on the Hub, that `source` names.

    A path is never looked up on the Hub. A source is a path unless it is a str `owner/name` and there
    is no folder `owner` here, or a str `owner/name@revision`.

    Raises:
        SourceError: `source` is a path, and no folder is there.
        OptionError: `source` and `revision` name different revisions.
    """
    path = expand_home(source, SourceError)
    try:
        if path.is_dir() or artifact_appears(path):
            return path
        exists = path.exists()
    except (OSError, ValueError) as error:  # a folder on the way may not be entered, or the name is too long
        reason = getattr(error, "strerror", None) or error
        raise SourceError(
            f"{source}: cannot be looked up ({reason}); expected an existing model folder or a Hub id "
            "owner/name"
        ) from error
    if exists:
        raise SourceError(f"{source}: is a file, expected a model folder or a Hub id owner/name")
    if not isinstance(source, str) or not re.fullmatch(_HUB_ID, source):
        raise SourceError(no_such_folder(source, "model folder or a Hub id owner/name"))
    hub_id = parse_hub_id(source, revision, subfolder)
    if hub_id.revision is None and path.parent.is_dir():
        raise SourceError(
            f"{source}: no such folder, though {path.parent} exists here; check the path, "
            f"or write {source}@main for the Hub's model"
        )
    return hub_id


def parse_hub_id(source: str, revision: str | None = None, subfolder: str | None = None) -> HubId:
    """Return the place on the Hub that `owner/name` or `owner/name@revision` stands for.

    Raises:
        SourceError: `source` has neither form.
        OptionError: `source` and `revision` name different revisions.
    """
    match = re.fullmatch(_HUB_ID, source)
    if match is None:
        raise SourceError(f"{source}: not a Hub id; expected owner/name or owner/name@revision")
    if match["revision"] and revision and match["revision"] != revision:
        raise OptionError(
            f"{source}: the id has revision {match['revision']!r}, but revision={revision!r} was given as "
            "well; give one of them"
        )
    return HubId(match["repo"], match["revision"] or revision, (subfolder or "").strip("/") or None)
