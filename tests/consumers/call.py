"""Call a consumer's embed(folder, texts, **options) with no network, and print its vectors as JSON.

Runs inside the consumer's environment: python call.py SCRIPT FOLDER PACKAGE OPTIONS..., texts on standard
input. The last line of the output is {"version": of PACKAGE, "vectors": for each OPTIONS}.
"""

from __future__ import annotations

import importlib.util
import json
import socket
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np


def main(script: str, folder: str, package: str, *options: str) -> None:
    def refuse(*args: object, **_named: object) -> Any:
        raise OSError(f"consumers run offline, but this one wants {args[-1]!r}")

    socket.socket.connect = refuse  # type: ignore[method-assign]
    socket.getaddrinfo = refuse
    # Load it by its path: on sys.path, its name would hide a package's.
    spec = importlib.util.spec_from_file_location(f"consumer_{Path(script).stem}", script)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    texts = json.load(sys.stdin)
    vectors = [
        np.stack([np.asarray(row) for row in module.embed(folder, texts, **json.loads(option))])
        for option in options
    ]
    print()
    print(json.dumps({"version": version(package), "vectors": [rows.tolist() for rows in vectors]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
