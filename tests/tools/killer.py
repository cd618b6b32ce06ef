"""Kill exports, conversions and pulls at random moments, and tell what is left. Run by test_crash_safety.py.

    python tests/tools/killer.py export|overwrite|contend|convert|race|pull MODEL FOLDER ROUNDS

In the mode `contend`, three processes with caches of their own overwrite the same artifact; in `race`, two
convert the same model.

Everything is imported once and each attempt is a forked child, so that hundreds take seconds. Prints one
JSON object: how often the target was absent or complete after a kill, and what lies beside it in the end.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download

from portvec import StaticEmbedder
from portvec._artifact.cache import cache_root
from portvec._artifact.folder import check_hashes, open_artifact
from portvec._hub.ids import HubId
from portvec._hub.pull import pull_artifact
from portvec_export import export_model


def fork(action: Callable[[], object]) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            action()
            code = 0
        finally:
            os._exit(code)
    return child


def attempt(action: Callable[[], object], processes: int, seconds: float) -> int:
    """Kill some of the processes at a moment; return how many of the others fail."""
    children = [fork(action) for _ in range(processes)]
    time.sleep(seconds)
    killed = random.sample(children, random.randint(1, processes))
    for child in killed:
        os.kill(child, signal.SIGKILL)
    statuses = {child: os.waitpid(child, 0)[1] for child in children}
    return sum(status != 0 for child, status in statuses.items() if child not in killed)


def state(folders: list[Path]) -> str:
    """Return absent or complete; a damaged artifact raises."""
    for folder in folders:
        check_hashes(open_artifact(folder))
    return "complete" if folders else "absent"


IMPORTED = (HfApi, snapshot_download)  # huggingface_hub imports its parts when they are first used
PROCESSES = {"contend": 3, "race": 2}
IN_PLACE = ("export", "overwrite", "contend", "pull")  # at a target of their own, not in the cache


def main(mode: str, model: str, folder: Path, rounds: int) -> None:
    random.seed(11)
    target = folder / "artifact"
    conversions = cache_root() / "models"

    def found() -> list[Path]:
        if mode in IN_PLACE:
            return [target] if target.exists() else []
        return [path for path in conversions.glob("*") if not path.name.startswith(".")]

    def action() -> object:
        if mode == "contend":
            os.environ["PORTVEC_CACHE"] = str(folder.parent / f"cache{os.getpid() % 3}")
        if mode in ("export", "overwrite", "contend"):
            return export_model(model, target, overwrite=True)
        if mode == "pull":
            return pull_artifact(HubId(model), target, overwrite=True)
        return StaticEmbedder.load(model, threads=1)

    started = time.monotonic()
    os.waitpid(fork(action), 0)
    duration = time.monotonic() - started
    outcomes: Counter[str] = Counter()
    failed = 0
    for _ in range(rounds):
        if mode not in ("overwrite", "contend"):
            for path in found():  # by rename, so that removing it cannot look like a torn export
                path.rename(folder / f"old{time.monotonic_ns()}")
        failed += attempt(action, PROCESSES.get(mode, 1), random.uniform(0, duration * 1.5))
        outcomes[state(found())] += 1
    _, status = os.waitpid(fork(action), 0)
    outcomes[f"last {state(found())}, exit {status}"] += 1
    kept = {*found(), *folder.glob("old*")}
    beside = {*folder.iterdir(), *conversions.glob("*"), *conversions.glob(".*")}
    litter = sorted(path.name for path in beside - kept)
    print(json.dumps({"outcomes": outcomes, "litter": litter, "targets": len(found()), "failed": failed}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
