"""Compiling a tokenizer into a file that is mapped instead of loaded."""
