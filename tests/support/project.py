"""Where the project's files are, and what the environment asks of the tests."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUNDLED = ROOT / "models" / "minilm-l6-v2-256"

# How many times the usual number of generated examples to try; `make fuzz` sets it.
FUZZ = int(os.environ.get("PORTVEC_FUZZ", "1"))

# onnxruntime 1.17 rounds the norm differently in batches of another shape. Newer versions return the same
# bits in any batch.
BATCH_ROUNDING = 2e-7 if version("onnxruntime").startswith("1.17.") else 0.0

# A folder of artifacts made beforehand. tests/arm64 runs tests where the exporter is not installed.
PREBUILT = os.environ.get("PORTVEC_TEST_ARTIFACTS")
