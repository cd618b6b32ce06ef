"""Texts to token ids: the model's rules, tokenizer backends and the word cache."""
