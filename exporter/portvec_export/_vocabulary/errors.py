"""Why a tokenizer cannot be compiled."""

from __future__ import annotations


class NotCompilable(Exception):  # noqa: N818 (not an error: the export goes on)
    """A tokenizer has something that the compiled form cannot do exactly, so it stays with `tokenizers`.

    The message is a clause that names it, such as "its BPE has dropout".
    """
