import numpy as np
import onnxruntime
from tokenizers import Tokenizer


def embed(folder: str, texts: list[str], graph: str = "model.onnx") -> np.ndarray:
    tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
    session = onnxruntime.InferenceSession(f"{folder}/onnx/{graph}")
    encodings = tokenizer.encode_batch(texts)
    feeds = {
        "input_ids": np.array([encoding.ids for encoding in encodings], dtype=np.int64),
        "attention_mask": np.array([encoding.attention_mask for encoding in encodings], dtype=np.int64),
    }
    return session.run(["sentence_embedding"], feeds)[0]
