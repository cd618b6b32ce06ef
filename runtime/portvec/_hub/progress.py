"""Progress bars for huggingface_hub. Imported where one is needed: tqdm takes as long as numpy to import."""

from __future__ import annotations

from typing import Any

from tqdm import tqdm


class TerminalProgress(tqdm):  # type: ignore[misc]
    """A progress bar on a terminal, nothing in a log file or pipe."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "disable": None})


class NoProgress(tqdm):  # type: ignore[misc]
    """For look-ups in the cache, which take no time."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "disable": True})
