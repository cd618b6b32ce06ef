"""Change an artifact as somebody who edits it would."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from portvec._artifact import format as fmt


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "portvec.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def replace_file(folder: Path, name: str, content: bytes) -> None:
    """Replace a file and fix the manifest, as somebody who edits an artifact would."""
    (folder / name).write_bytes(content)
    edit(
        folder,
        lambda m: m["files"][name].update(size=len(content), sha256=hashlib.sha256(content).hexdigest()),
    )


def leave_to_tokenizers(folder: Path) -> Path:
    """Remove the compiled vocabulary of an artifact, so that `tokenizers` reads tokenizer.json."""
    (folder / fmt.VOCABULARY).unlink(missing_ok=True)
    edit(folder, lambda manifest: manifest["files"].pop(fmt.VOCABULARY, None))
    return folder
