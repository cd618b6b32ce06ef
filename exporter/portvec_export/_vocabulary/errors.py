"""Why a tokenizer cannot be compiled."""

from __future__ import annotations


class NotCompilable(Exception):  # noqa: N818 (it is an answer more than an error)
    """A tokenizer has something that the compiled form cannot do exactly, so it stays with `tokenizers`.

    The message is a clause that names it, such as "its BPE has dropout".
    """
