"""Semantic search in Milvus Lite: store documents, find the nearest one to each query.

    python examples/milvus_search.py [MODEL] [DATABASE]

MODEL is an artifact folder, a Model2Vec folder or a Hub id. DATABASE is the file in which Milvus Lite keeps
its data; without it, the data are temporary. Needs the extra `portvec[milvus]`.
"""

import sys
import tempfile
from pathlib import Path

from pymilvus import MilvusClient

from portvec import Model2VecEmbeddingFunction

DOCUMENTS = [
    "Artificial intelligence was founded as an academic discipline in 1956.",
    "Alan Turing was the first person to conduct substantial research in AI.",
    "Born in Maida Vale, London, Turing was raised in southern England.",
]
QUERIES = ["When was artificial intelligence founded", "Where was Alan Turing born?"]


def main(model: str, database: Path) -> None:
    """Store the documents, search for the queries, and print what was found."""
    ef = Model2VecEmbeddingFunction(model)

    documents = ef.encode_documents(DOCUMENTS)
    print("Dim:", ef.dim, documents[0].shape)

    client = MilvusClient(str(database))
    if client.has_collection("demo"):
        client.drop_collection("demo")
    client.create_collection("demo", dimension=ef.dim, metric_type="COSINE")
    client.insert(
        "demo",
        [
            {"id": i, "vector": vector, "text": text}
            for i, (vector, text) in enumerate(zip(documents, DOCUMENTS, strict=True))
        ],
    )

    results = client.search("demo", data=ef.encode_queries(QUERIES), limit=1, output_fields=["text"])
    for query, hits in zip(QUERIES, results, strict=True):
        print(f"{query} -> {hits[0]['entity']['text']} ({hits[0]['distance']:.3f})")
    client.close()


if __name__ == "__main__":
    arguments = dict(enumerate(sys.argv[1:]))
    with tempfile.TemporaryDirectory() as folder:
        main(
            arguments.get(0, "minishlab/potion-base-8M"),
            Path(arguments.get(1, Path(folder) / "milvus_demo.db")),
        )
