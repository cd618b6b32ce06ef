"""What the steps of a tokenizer have in common: texts as flat arrays, tables over code points, tries."""
