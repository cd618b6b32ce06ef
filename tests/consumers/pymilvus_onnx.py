import numpy as np
from pymilvus.model.dense import OnnxEmbeddingFunction


def embed(hub_id: str, texts: list[str]) -> list[np.ndarray]:
    # Takes model.onnx from the root of a repository on the Hub: a copy of a --single-file export's.
    function = OnnxEmbeddingFunction(model_name=hub_id, tokenizer_name=hub_id)
    return function.encode_documents(texts)
