"""Adapters for the frameworks that people build with: a module each, an extra each.

`pip install 'portvec[chroma]'`, then `from portvec.integrations.chroma import ...`. Importing one
whose framework is missing raises MissingExtraError, which names the command. Each takes the source
and the options of `StaticEmbedder.load`; what it serializes keeps both, but never a token.
"""
