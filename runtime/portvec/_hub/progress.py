"""Progress bars for huggingface_hub.

Import this module where a bar is needed: tqdm takes as long to import as numpy.
"""

from __future__ import annotations

from typing import Any

from tqdm import tqdm


class TerminalProgress(tqdm):  # type: ignore[misc]
    """A progress bar on a terminal, and nothing in a log file or pipe."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "disable": None})
