"""A progress bar. Import this module where a bar is needed: tqdm takes as long to import as numpy."""

from __future__ import annotations

from tqdm import tqdm


class Progress(tqdm):  # type: ignore[misc]
    """A progress bar whose destructor finds nothing to do if a signal interrupts its constructor.

    tqdm before 4.70 prints a traceback then.
    """

    disable = True
