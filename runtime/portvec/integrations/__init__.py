"""Adapters for other frameworks and engines. Each has a module here and an extra.

Install the extra, such as `chroma`, then `from portvec.integrations.chroma import ...`. Importing a module
whose framework is missing raises MissingExtraError, which names the command. Each adapter takes the source
and the options of `StaticEmbedder.load`. It serializes both, but never a token.
"""
