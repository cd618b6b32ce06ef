import numpy as np
import onnxruntime
from transformers import AutoTokenizer


def embed(folder: str, texts: list[str], graph: str = "model.onnx") -> np.ndarray:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    session = onnxruntime.InferenceSession(f"{folder}/onnx/{graph}")
    inputs = tokenizer(texts, padding=True, truncation=True, return_tensors="np")
    feeds = {name: inputs[name].astype(np.int64) for name in ("input_ids", "attention_mask")}
    return session.run(["sentence_embedding"], feeds)[0]
