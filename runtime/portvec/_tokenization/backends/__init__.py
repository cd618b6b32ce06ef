"""Tokenizer backends: the registry of accelerators.

An accelerator is a library that gives the ids of `tokenizers` faster. It is used only if it reproduces the
ids that an artifact recorded.
"""

from __future__ import annotations

from typing import Final, Protocol

from portvec._tokenization.backends.nanotoken import NanotokenEncoder
from portvec._tokenization.tokenizer import Encoder


class Accelerator(Protocol):
    """The class of an accelerator's encoder.

    Attributes:
        name: what users pass as `tokenizer`.
        package: name of the module that must be importable.
        extra: extra of portvec that installs it.
        models: types of tokenizer models that it supports.
    """

    name: str
    package: str
    extra: str
    models: frozenset[str]

    def __call__(self, content: bytes, *, parallel: bool) -> Encoder:
        """Load the content of tokenizer.json; `parallel` allows a thread pool of its own."""


ACCELERATORS: Final[dict[str, Accelerator]] = {
    NanotokenEncoder.name: NanotokenEncoder,
}
