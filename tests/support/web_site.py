"""A web server in the test's process, which can be stopped, and can miss files."""

from __future__ import annotations

import threading
from http.server import ThreadingHTTPServer
from pathlib import Path

from examples.browser.serve import FileHandler


class Site:
    """Serves a folder on a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.missing: set[str] = set()
        site = self

        class Handler(FileHandler):
            # A connection that is kept would outlive the server.
            protocol_version = "HTTP/1.0"

            def __init__(self, *arguments: object) -> None:
                super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

            def do_GET(self) -> None:  # noqa: N802
                if self.path.lstrip("/") in site.missing:
                    self.send_error(404)
                else:
                    super().do_GET()

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        # A service worker needs a secure origin, which localhost is.
        self.url = f"http://localhost:{self._server.server_port}/"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Refuse connections from now on."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
