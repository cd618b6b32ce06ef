import torch
from optimum.onnxruntime import ORTModelForFeatureExtraction
from transformers import AutoTokenizer


def embed(folder: str, texts: list[str], graph: str = "model.onnx") -> torch.Tensor:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = ORTModelForFeatureExtraction.from_pretrained(folder, subfolder="onnx", file_name=graph)
    inputs = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
    return model(**inputs).last_hidden_state[:, 0]
