import numpy as np
from sentence_transformers import SentenceTransformer


def embed(folder: str, texts: list[str], graph: str = "model.onnx") -> np.ndarray:
    model = SentenceTransformer(
        folder,
        backend="onnx",
        model_kwargs={"file_name": f"onnx/{graph}", "provider": "CPUExecutionProvider"},
    )
    return model.encode(texts)
