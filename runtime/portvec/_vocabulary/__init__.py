"""The vocabulary of a tokenizer: from words to token ids."""
