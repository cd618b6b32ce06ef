"""What names a collection of Milvus: a URI, perhaps with credentials that are never shown, and a name."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from portvec.errors import OptionError

_PREFIX: Final = "milvus:"
_COLLECTION: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")


def is_target(output: str) -> bool:
    """Return whether an output is a collection of Milvus rather than a file."""
    return output.startswith(_PREFIX)


def parse_target(target: str) -> tuple[str, str]:
    """Return the URI and the collection of "milvus:URI/COLLECTION". The prefix may be missing.

    The URI is the path of a Milvus Lite file, whose name ends with .db, or a server's
    http(s)://[USER:PASSWORD@]HOST[:PORT][/DATABASE].

    Raises:
        OptionError: it is neither, or the collection cannot have that name.
    """
    target = target.removeprefix(_PREFIX)
    uri, _, collection = target.rpartition("/")
    name = split_credentials(target)[0]
    is_server = re.match(r"https?://[^/]+/", name) is not None
    if not is_server and (not is_file(uri) or not uri.endswith(".db")):
        raise OptionError(
            f"{name}: expected URI/COLLECTION, where the URI is a file of Milvus Lite, such as ./rows.db, or "
            "http://HOST:PORT"
        )
    if not _COLLECTION.fullmatch(collection):
        raise OptionError(
            f"{name}: {name.rpartition('/')[2]!r} is no name of a collection, which has letters, digits and "
            "_ only, and no digit first"
        )
    return uri, collection


def is_file(uri: str) -> bool:
    """Return whether a URI is the path of a Milvus Lite file."""
    return "://" not in uri


def split_credentials(uri: str) -> tuple[str, str | None]:
    """Return a URI without its credentials, and these as a token of Milvus."""
    scheme, separator, rest = uri.partition("://")
    credentials, at, address = rest.rpartition("@")
    return (f"{scheme}://{address}", unquote(credentials)) if separator and at else (uri, None)


def show_target(uri: str, collection: str) -> str:
    """Return what messages call a collection: its URI without credentials, and its name."""
    return f"{split_credentials(uri)[0]}/{collection}"
