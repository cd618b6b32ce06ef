"""Semantic search in Milvus Lite: store passages, find the nearest ones to each question.

    python examples/milvus_search.py [MODEL] [DATABASE]

MODEL is an artifact folder, a Model2Vec folder or a Hub id. DATABASE is the file in which Milvus Lite keeps
its data; without it, the data are temporary. The passages are the paragraphs of portvec's documentation, and
the three documents of Milvus's own example. Needs the extra `portvec[milvus]`.
"""

import re
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
QUESTIONS = [
    "When was artificial intelligence founded",
    "Where was Alan Turing born?",
    "How do I use a model without internet access?",
    "How much memory does a process need?",
    "Does it run on a Raspberry Pi?",
    "What happens to words that the model does not know?",
]


def read_passages(folder: Path) -> list[str]:
    """Return the paragraphs of the Markdown files in a folder: no tables, code, headings or short lines."""
    passages = []
    for path in sorted(folder.glob("*.md")):
        prose = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
        for paragraph in re.split(r"\n\s*\n", prose):
            text = " ".join(paragraph.split()).removeprefix("- ")
            if len(text) >= 60 and text[0] not in "#|<(:!":
                passages.append(text)
    return passages


def main(model: str, database: Path) -> None:
    """Store the passages, search for the questions, and print what was found."""
    ef = Model2VecEmbeddingFunction(model)

    documents = ef.encode_documents(DOCUMENTS)
    print("Dim:", ef.dim, documents[0].shape)
    passages = read_passages(Path(__file__).parents[1] / "docs")
    documents += ef.encode_documents(passages)

    client = MilvusClient(str(database))
    if client.has_collection("demo"):
        client.drop_collection("demo")
    client.create_collection("demo", dimension=ef.dim, metric_type="COSINE")
    rows = zip(documents, DOCUMENTS + passages, strict=True)
    client.insert("demo", [{"id": i, "vector": row[0], "text": row[1]} for i, row in enumerate(rows)])

    results = client.search("demo", data=ef.encode_queries(QUESTIONS), limit=2, output_fields=["text"])
    for question, hits in zip(QUESTIONS, results, strict=True):
        print(question)
        for hit in hits:
            text = hit["entity"]["text"]
            print(f"  {hit['distance']:.3f}  {text if len(text) <= 100 else text[:99] + '…'}")
    client.close()


if __name__ == "__main__":
    arguments = dict(enumerate(sys.argv[1:]))
    with tempfile.TemporaryDirectory() as folder:
        main(
            arguments.get(0, "minishlab/potion-base-8M"),
            Path(arguments.get(1, Path(folder) / "milvus_demo.db")),
        )
