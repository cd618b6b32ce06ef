"""Why a tokenizer cannot be part of a graph."""


class NotExpressible(Exception):  # noqa: N818 (the caller turns it into one)
    """A tokenizer has something that the graph cannot do exactly. The message is a clause that says what."""
