"""Run Model2Vec embeddings anywhere.

Two ways in: `Model2VecEmbeddingFunction` for Milvus, `StaticEmbedder` for everything else. Errors
are in `portvec.errors`; the exporter is the package `portvec_export`.
"""

from portvec._classifier import StaticClassifier
from portvec._embedder import StaticEmbedder
from portvec._manifest import Manifest
from portvec._milvus import Model2VecEmbeddingFunction
from portvec._tokens import TokenIds
from portvec._verify import Verification, verify
from portvec.errors import PortvecError

__version__ = "0.1.0"

__all__ = [
    "Manifest",
    "Model2VecEmbeddingFunction",
    "PortvecError",
    "StaticClassifier",
    "StaticEmbedder",
    "TokenIds",
    "Verification",
    "verify",
]
