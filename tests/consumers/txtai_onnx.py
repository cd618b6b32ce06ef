import numpy as np
from txtai import Embeddings


def embed(folder: str, texts: list[str]) -> np.ndarray:
    embeddings = Embeddings(path=folder, method="sentence-transformers", vectors={"backend": "onnx"})
    return embeddings.batchtransform(texts)
