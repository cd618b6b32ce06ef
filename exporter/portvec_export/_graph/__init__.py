"""The graphs of an artifact: token ids to embeddings in standard ONNX operators."""
