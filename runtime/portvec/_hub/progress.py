"""Progress bars for huggingface_hub.

Import this module where a bar is needed: tqdm and huggingface_hub take as long to import as numpy.
"""

from __future__ import annotations

from typing import Any

from huggingface_hub.utils.tqdm import are_progress_bars_disabled

from portvec._progress import Progress


class TerminalProgress(Progress):
    """A progress bar on a terminal, unless huggingface_hub is to show none. Nothing in a log file or pipe."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "disable": are_progress_bars_disabled() or None})
