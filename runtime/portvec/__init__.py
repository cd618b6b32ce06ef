"""Run Model2Vec embeddings anywhere.

Use `Model2VecEmbeddingFunction` with Milvus, and `StaticEmbedder` with everything else. Errors are in
`portvec.errors`. The exporter is the package `portvec_export`.
"""

from portvec._artifact.manifest import Manifest
from portvec._classifier import StaticClassifier
from portvec._embedder import StaticEmbedder
from portvec._inference.verify import Verification, verify
from portvec._tokenization.token_ids import TokenIds
from portvec._version import __version__ as __version__
from portvec.errors import PortvecError
from portvec.integrations.milvus import Model2VecEmbeddingFunction

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
