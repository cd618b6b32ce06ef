"""Token ids to embeddings: batches, graphs, onnxruntime sessions, and the check that vectors are right."""
