"""What the tests of portvec.integrations share: documents, questions, and processes of their own."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from corpus import paragraphs
from portvec import StaticEmbedder

# Frameworks read these variables when they are imported. Keep them from reporting usage.
os.environ.update(
    {
        "ANONYMIZED_TELEMETRY": "False",  # Chroma
        "HAYSTACK_TELEMETRY_ENABLED": "False",
        "LANGSMITH_TRACING": "false",  # LangChain
    }
)
if os.environ.get("PORTVEC_ALL_INTEGRATIONS"):  # other tests, in whose process this may be, ask a local Hub
    os.environ["HF_HUB_OFFLINE"] = "1"


class Framework(NamedTuple):
    """A framework or engine that has an adapter.

    Attributes:
        title: its name in docs/frameworks.md or docs/engines.md.
        module: of the adapter in portvec.integrations; the extra has the same name, with dashes.
        distribution: what the extra installs.
        imported: the package that the adapter imports.
    """

    title: str
    module: str
    distribution: str
    imported: str


FRAMEWORKS = [
    Framework("LangChain", "langchain", "langchain-core", "langchain_core"),
    Framework("LlamaIndex", "llama_index", "llama-index-core", "llama_index"),
    Framework("Haystack", "haystack", "haystack-ai", "haystack"),
    Framework("Chroma", "chroma", "chromadb", "chromadb"),
    Framework("LanceDB", "lancedb", "lancedb", "lancedb"),
    Framework("Qdrant", "qdrant", "qdrant-client", "qdrant_client"),
]
# Not a store of embeddings, and installed apart, because it brings PyTorch: docs/quality.md.
MTEB = Framework("mteb", "mteb", "mteb", "mteb")

ANSWERS = {
    "Where was Alan Turing born?": "Born in Maida Vale, London, Turing was raised in southern England.",
    "Which planet is the largest?": "Jupiter is the fifth planet from the Sun and the largest of all.",
    "How is bread made?": "Bread is baked from a dough of flour, water, salt and yeast.",
    "What is the capital of France?": "Paris is the capital and largest city of France.",
    "Who painted the Mona Lisa?": "The Mona Lisa is a half-length portrait painting by Leonardo da Vinci.",
}
# Unknown to the bundled model: their embeddings are zero vectors, which have no cosine.
NO_WORDS = ["😀", "☃"]
OTHERS = [text for text in paragraphs(300) if text not in NO_WORDS]
# The answers among others, and among documents that a store must not trip over.
DOCUMENTS = [NO_WORDS[0], *ANSWERS.values(), NO_WORDS[1], *OTHERS]


def need(framework: str, tier: str = "integrations") -> None:
    """Skip the tests of a module whose framework is missing, except in the tier where all must run."""
    if os.environ.get(f"PORTVEC_ALL_{tier.upper()}"):
        importlib.import_module(framework)
    else:
        pytest.importorskip(framework, reason=f"{framework} is not installed; make test-{tier}")


def cosine(artifact: Path, question: str, document: str) -> float:
    """Return the cosine that an exact search gives; the bundled model's vectors have unit length."""
    one, other = StaticEmbedder.load(artifact).encode([question, document])
    return float(np.dot(one, other))


def in_fresh_process(program: str, *arguments: object) -> list[str]:
    """Run Python code in a process of its own; return the lines that it prints."""
    result = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()
