"""Files of texts in, files of embeddings out."""
