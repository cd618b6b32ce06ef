"""The normalizer of a tokenizer: characters -> characters."""
