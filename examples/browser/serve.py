"""Serve a folder to this machine: python examples/browser/serve.py FOLDER [PORT]."""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, AnyStr

if TYPE_CHECKING:
    from _typeshed import SupportsRead, SupportsWrite


class FileHandler(SimpleHTTPRequestHandler):
    """Serves files with the types that browsers insist on, whatever the machine's own tables say."""

    extensions_map = {  # noqa: RUF012  # as in the base class
        **SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def copyfile(self, source: SupportsRead[AnyStr], outputfile: SupportsWrite[AnyStr]) -> None:
        """Send a file. A browser that leaves the page is no error."""
        with suppress(ConnectionError):
            super().copyfile(source, outputfile)

    def log_message(self, *_: object) -> None:
        """Keep the terminal quiet."""


def main(folder: Path, port: int) -> None:
    """Serve until Ctrl-C."""
    if not (folder / "index.html").is_file():
        sys.exit(f"{folder} has no index.html; make browser-demo prepares it")
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), partial(FileHandler, directory=folder))
    except OSError as error:
        sys.exit(
            f"port {port} cannot be used ({error.strerror}); choose another: make browser-demo PORT=8001"
        )
    print(f"http://localhost:{port}/ (Ctrl-C stops)", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    arguments = dict(enumerate(sys.argv))
    main(Path(arguments.get(1, "build/browser-demo")), int(arguments.get(2, "8000")))
