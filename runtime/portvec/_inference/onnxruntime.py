"""onnxruntime with its telemetry off.

Since about 1.28, its wheels for Linux and macOS upload usage events and keep a device id below the home
folder, unless this variable is set before the import (microsoft/onnxruntime#27379). Embedding on a server or
a board must not do that unless the user asks, with ORT_DISABLE_TELEMETRY=0 in the environment.
"""

from __future__ import annotations

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

__all__ = ["onnxruntime"]
