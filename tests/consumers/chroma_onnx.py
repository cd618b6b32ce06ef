from functools import cached_property
from pathlib import Path

import numpy as np
from chromadb.utils.embedding_functions import ONNXMiniLM_L6_V2
from tokenizers import Tokenizer


class ArtifactFunction(ONNXMiniLM_L6_V2):
    """Chroma's class for one model, given the files of another."""

    def __init__(self, folder: str) -> None:
        super().__init__(preferred_providers=["CPUExecutionProvider"])
        self.DOWNLOAD_PATH = Path(folder)

    def _download_model_if_not_exists(self) -> None:
        pass

    def max_tokens(self) -> int:
        return self.tokenizer.truncation["max_length"]

    @cached_property
    def tokenizer(self) -> Tokenizer:
        tokenizer = Tokenizer.from_file(str(self.DOWNLOAD_PATH / "tokenizer.json"))
        # Texts are encoded one by one, and must come out equally long.
        tokenizer.enable_padding(
            length=tokenizer.truncation["max_length"],
            pad_id=tokenizer.padding["pad_id"],
            pad_token=tokenizer.padding["pad_token"],
        )
        return tokenizer


def embed(folder: str, texts: list[str]) -> list[np.ndarray]:
    return ArtifactFunction(folder)(texts)
