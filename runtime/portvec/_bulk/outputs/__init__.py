"""Files of embeddings: .npy, .jsonl, .parquet and .arrow, written part by part."""
