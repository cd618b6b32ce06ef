"""Run Model2Vec embeddings anywhere.

Use `Model2VecEmbeddingFunction` with Milvus, and `StaticEmbedder` with everything else. `known_models` lists
models to choose from. Errors are in `portvec.errors`. The exporter is the package `portvec_export`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from portvec._version import __version__ as __version__
from portvec.errors import PortvecError

if TYPE_CHECKING:
    from portvec._artifact.manifest import Manifest
    from portvec._classifier import StaticClassifier
    from portvec._embedder import StaticEmbedder
    from portvec._inference.verify import Verification, verify
    from portvec._known_models import KnownModel, known_models
    from portvec._vocabulary.token_ids import TokenIds
    from portvec.integrations.milvus import Model2VecEmbeddingFunction

__all__ = [
    "KnownModel",
    "Manifest",
    "Model2VecEmbeddingFunction",
    "PortvecError",
    "StaticClassifier",
    "StaticEmbedder",
    "TokenIds",
    "Verification",
    "known_models",
    "verify",
]

# Imported when a name is first used. So the command line, which imports this package before anything else,
# handles signals before it loads numpy and onnxruntime.
_MODULES = {
    "KnownModel": "portvec._known_models",
    "Manifest": "portvec._artifact.manifest",
    "Model2VecEmbeddingFunction": "portvec.integrations.milvus",
    "StaticClassifier": "portvec._classifier",
    "StaticEmbedder": "portvec._embedder",
    "TokenIds": "portvec._vocabulary.token_ids",
    "Verification": "portvec._inference.verify",
    "known_models": "portvec._known_models",
    "verify": "portvec._inference.verify",
}

if not TYPE_CHECKING:  # a type checker would take every name for one that exists

    def __getattr__(name):  # noqa: ANN001, ANN202
        if name == "integrations":  # without an import of its own, as `portvec.integrations.milvus`
            import_module("portvec.integrations.milvus")
            return globals()[name]
        if name not in _MODULES:
            raise AttributeError(f"module 'portvec' has no attribute {name!r}")
        globals()[name] = value = getattr(import_module(_MODULES[name]), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
