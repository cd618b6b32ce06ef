"""The ONNX graphs: built from a table, written to files."""
