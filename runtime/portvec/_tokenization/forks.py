"""What `tokenizers` must be told before a process forks."""

from __future__ import annotations

import os

_VARIABLE = "TOKENIZERS_PARALLELISM"


def disable_pool_after_fork() -> None:
    """Keep `tokenizers` from using its thread pool in a forked child, where the threads do not exist.

    The library does the same, but with a warning. A value that the user set for its environment variable is
    respected.
    """
    if not hasattr(os, "register_at_fork"):  # Windows
        return
    unset: list[bool] = []

    def before() -> None:
        unset.append(_VARIABLE not in os.environ)
        if unset[-1]:
            os.environ[_VARIABLE] = "false"

    def after_in_parent() -> None:
        if unset.pop():
            os.environ.pop(_VARIABLE, None)

    os.register_at_fork(before=before, after_in_parent=after_in_parent)
