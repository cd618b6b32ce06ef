"""The model of a tokenizer: words -> token ids."""
