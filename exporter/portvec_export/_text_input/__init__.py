"""The tokenizer as part of the graph: characters -> symbols -> words -> pieces -> ids."""
