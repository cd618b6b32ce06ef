"""Every error that portvec raises on purpose.

    PortvecError
    ├── SourceError            a model source is missing, unreadable or of the wrong kind
    │   └── HubError           a Hub repository could not be reached, found, opened or changed
    ├── MissingExtraError      an optional package is needed (also ImportError)
    ├── OptionError            an argument has a value that is unknown or out of range (also ValueError)
    ├── ExportError            an artifact could not be made or written as asked
    ├── ArtifactError          an artifact is incomplete, damaged or of an unknown format version
    ├── FileError              a file of texts or embeddings could not be read or written
    └── InputError             a text is not one that can be embedded (also TypeError, ValueError)

Messages are one line: the subject, the rule, the value found and the remedy. They write an argument as in
Python, such as `overwrite=True`; the command line shows its flag instead.
"""

from __future__ import annotations


class PortvecError(Exception):
    """Base of all errors that portvec raises on purpose."""


class SourceError(PortvecError):
    """A model source is missing, unreadable or of the wrong kind, such as a transformer."""


class HubError(SourceError):
    """A Hub repository could not be reached, found, opened or changed."""


class MissingExtraError(PortvecError, ImportError):
    """An optional package is needed. The message holds the command that installs it."""


class OptionError(PortvecError, ValueError):
    """An argument has a value that is unknown or out of range. The message names the argument."""


class ExportError(PortvecError):
    """An artifact could not be made or written as asked.

    For example, the output is taken, or a value does not fit the dtype.
    """


class ArtifactError(PortvecError):
    """An artifact is incomplete, damaged or of an unknown format version."""


class FileError(PortvecError):
    """A file of texts or embeddings could not be read or written."""


class InputError(PortvecError, TypeError, ValueError):
    """A text is not one that can be embedded, such as a number. The message names its index.

    It is a TypeError and a ValueError, so that code written for either catches it.
    """
