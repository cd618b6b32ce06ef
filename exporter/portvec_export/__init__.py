"""Export Model2Vec models to portable ONNX artifacts. Needs the extra `portvec[export]`."""

from portvec_export._export import export_model

__all__ = ["export_model"]
