"""Writing ONNX: a builder for graphs, and where their large tensors are stored."""
