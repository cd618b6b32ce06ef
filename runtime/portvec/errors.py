"""Every error that portvec raises on purpose.

    PortvecError
    ├── SourceError            a model source is missing, unreadable or not a Model2Vec model
    │   ├── HubError           a Hub repository could not be reached, found or opened
    │   └── MissingExtraError  an optional package is needed; says which command installs it
    ├── ExportError            an artifact could not be made, or not where it was asked for
    ├── ArtifactError          an artifact is incomplete, damaged or of an unknown format version
    └── InputError             a text is not a str that can be encoded (also TypeError, ValueError)

Messages are one line: the subject, the rule, what was got, and the remedy.
"""

from __future__ import annotations


class PortvecError(Exception):
    """Base of all errors that portvec raises on purpose."""


class SourceError(PortvecError):
    """A model source is missing, unreadable or not a Model2Vec model."""


class HubError(SourceError):
    """A Hub repository could not be reached, found or opened."""


class MissingExtraError(SourceError, ImportError):
    """An optional package is needed. The message holds the command that installs it."""


class ExportError(PortvecError):
    """An artifact could not be made, or not where it was asked for."""


class ArtifactError(PortvecError):
    """An artifact is incomplete, damaged or of an unknown format version."""


class InputError(PortvecError, TypeError, ValueError):
    """A text is not a str that can be encoded; the message names its index.

    Both a TypeError and a ValueError, so that code written for either catches it.
    """
