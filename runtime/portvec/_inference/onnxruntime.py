"""onnxruntime, imported so that it sends and writes nothing of its own.

Since 1.28 or so its wheels for Linux and macOS upload usage events and keep a device id below the
home folder, unless this variable is set before the import (microsoft/onnxruntime#27379). Embedding
on a server or a board must not do that unasked; ORT_DISABLE_TELEMETRY=0 in the environment asks.
"""

from __future__ import annotations

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

__all__ = ["onnxruntime"]
