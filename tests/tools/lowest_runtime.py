"""Verify artifacts of every kind of model, and load, push and pull one, with another environment's runtime.

    python tests/tools/lowest_runtime.py OTHER_PYTHON

The artifacts are exported here; OTHER_PYTHON has only the runtime, in its lowest versions.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from hub_repository import TOKEN
from hub_server import LocalHub
from matrix import CASES, PROJECTOR_CASES
from portvec_export import export_model


def main(python: str) -> None:
    """Run every case; raises if one fails."""
    cases = [*CASES, *PROJECTOR_CASES]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hub = LocalHub()
        server = hub.serve()
        environment = {
            **os.environ,
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(folder / "hf"),
            "HF_HUB_DISABLE_XET": "1",
            "PORTVEC_CACHE": str(folder / "cache"),
        }

        def portvec(*arguments: str) -> str:
            command = [python, "-m", "portvec", *arguments]
            return subprocess.run(
                command, env=environment, check=True, stdout=subprocess.PIPE, encoding="utf-8"
            ).stdout

        for index, case in enumerate(cases):
            source = case.build(folder / f"model{index}")
            artifact = export_model(source, folder / f"artifact{index}", **case.export)
            print(case.name, "|", portvec("verify", str(artifact)).split(": ", 1)[1], end="", flush=True)
        hub.add_folder("owner/artifact", artifact)
        remote = portvec("embed", "owner/artifact", "the value")
        assert remote == portvec("embed", str(artifact), "the value")
        portvec("push", str(artifact), "owner/pushed", "--token", TOKEN)
        portvec("pull", "owner/pushed", "-o", str(folder / "pulled"))
        portvec("verify", str(folder / "pulled"))
        server.shutdown()
    print(f"{len(cases) + 2} passed, 0 failed")


if __name__ == "__main__":
    main(sys.argv[1])
