import json
from pathlib import Path

import numpy as np
from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType


def embed(
    folder: str, texts: list[str], graph: str = "model.onnx", pooling: str = "MEAN"
) -> list[np.ndarray]:
    name = f"my/{graph}-{pooling}"
    TextEmbedding.add_custom_model(
        model=name,
        pooling=PoolingType[pooling],
        normalization=False,  # the graph does it, if the model does
        sources=ModelSource(hf=name),
        dim=json.loads(Path(folder, "portvec.json").read_text())["dim"],
        model_file=f"onnx/{graph}",
    )
    return list(TextEmbedding(name, specific_model_path=folder).embed(texts))
