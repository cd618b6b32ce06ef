"""The pre-tokenizer of a tokenizer: characters -> words."""
