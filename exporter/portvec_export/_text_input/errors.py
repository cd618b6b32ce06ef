"""Why a tokenizer cannot be part of a graph."""


class NotExpressible(Exception):
    """A tokenizer has something that the graph cannot do exactly. The message is a clause that says what."""
