"""PortvecEncoder with Qdrant in local mode: uploaded, queried, reopened from disk."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from frameworks import ANSWERS, DOCUMENTS, cosine, in_fresh_process, need
from portvec import StaticEmbedder
from portvec.errors import InputError, OptionError, SourceError

need("qdrant_client")

from qdrant_client import QdrantClient
from qdrant_client.models import Distance, FieldCondition, Filter, MatchValue

from portvec.integrations.qdrant import PortvecEncoder


@pytest.fixture
def encoder(bundled: Path) -> PortvecEncoder:
    return PortvecEncoder(bundled)


@pytest.fixture
def folder(encoder: PortvecEncoder, tmp_path: Path) -> Path:
    client = QdrantClient(path=str(tmp_path / "db"))
    client.create_collection("docs", vectors_config=encoder.vectors_config())
    client.upload_points("docs", encoder.points(DOCUMENTS, ids=range(len(DOCUMENTS))))
    client.close()
    return tmp_path / "db"


@pytest.fixture
def client(folder: Path) -> Iterator[QdrantClient]:
    client = QdrantClient(path=str(folder))
    yield client
    client.close()


def test_vectors_are_those_of_the_embedder(encoder: PortvecEncoder, bundled: Path) -> None:
    embedder = StaticEmbedder.load(bundled)
    rows = embedder.encode(DOCUMENTS[:9]).tolist()
    assert [point.vector for point in encoder.points(DOCUMENTS[:9])] == rows
    assert encoder.query(DOCUMENTS[0]) == embedder.encode(DOCUMENTS[0]).tolist()
    assert list(encoder.points([])) == []


def test_upload_query_and_reopen(client: QdrantClient, encoder: PortvecEncoder, bundled: Path) -> None:
    for question, answer in ANSWERS.items():
        (hit,) = client.query_points("docs", query=encoder.query(question), limit=1).points
        assert hit.payload == {"text": answer}
        assert hit.id == DOCUMENTS.index(answer)
        assert hit.score == pytest.approx(cosine(bundled, question, answer), abs=1e-6)


def test_reopened_in_another_process(folder: Path, bundled: Path) -> None:
    program = """
import sys
from qdrant_client import QdrantClient
from portvec.integrations.qdrant import PortvecEncoder
client = QdrantClient(path=sys.argv[1])
encoder = PortvecEncoder(sys.argv[2])
for question in sys.argv[3:]:
    print(client.query_points("docs", query=encoder.query(question), limit=1).points[0].payload["text"])
client.close()
"""
    assert in_fresh_process(program, folder, bundled, *ANSWERS) == [*ANSWERS.values()]


def test_payloads_can_be_filtered_and_vectors_named(bundled: Path) -> None:
    encoder = PortvecEncoder(bundled, vector_name="static")
    client = QdrantClient(":memory:")
    client.create_collection("docs", vectors_config=encoder.vectors_config(Distance.DOT))
    payloads = [{"even": n % 2 == 0} for n in range(len(DOCUMENTS))]
    client.upload_points("docs", encoder.points(DOCUMENTS, payloads=payloads, text_key="content"))
    for question, answer in ANSWERS.items():
        for even in (True, False):
            wanted = Filter(must=[FieldCondition(key="even", match=MatchValue(value=even))])
            (hit,) = client.query_points(
                "docs", query=encoder.query(question), using="static", query_filter=wanted, limit=1
            ).points
            assert hit.payload is not None
            assert hit.payload["even"] is even
            assert (hit.payload["content"] == answer) == ((DOCUMENTS.index(answer) % 2 == 0) is even)
    client.close()


def test_ids_are_fresh_and_payloads_are_copies(encoder: PortvecEncoder) -> None:
    payloads = [{"a": 1}, {"a": 2}]
    points = [*encoder.points(["x", "y"], payloads=payloads), *encoder.points(["x"], text_key=None)]
    assert len({UUID(str(point.id)) for point in points}) == 3
    assert [point.payload for point in points] == [{"a": 1, "text": "x"}, {"a": 2, "text": "y"}, {}]
    assert payloads == [{"a": 1}, {"a": 2}]


def test_points_are_embedded_as_they_are_taken(
    encoder: PortvecEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"{DOCUMENTS[number % len(DOCUMENTS)]} {number}" for number in range(2500)]
    expected = [point.vector for point in encoder.points(texts)]
    sizes = []
    encode = StaticEmbedder.encode

    def counting(self: StaticEmbedder, texts: Any, **options: Any) -> Any:
        sizes.append(len(texts))
        return encode(self, texts, **options)

    monkeypatch.setattr(StaticEmbedder, "encode", counting)
    points = encoder.points(texts)
    assert next(points).vector == expected[0]
    assert len(sizes) == 1
    assert [point.vector for point in points] == expected[1:]
    assert len(sizes) > 1
    assert sum(sizes) == len(texts)


def test_pickles_without_the_token(bundled: Path) -> None:
    pickled = pickle.dumps(PortvecEncoder(bundled, token="hf_secret"))
    assert b"hf_secret" not in pickled
    assert np.shape(pickle.loads(pickled).query("x")) == (256,)


def test_errors_name_what_was_got(encoder: PortvecEncoder, bundled: Path) -> None:
    wrong: Any = "a text"
    with pytest.raises(InputError, match=r"^texts is a str, expected a list of str; wrap it as \[text\]$"):
        encoder.points(wrong)
    wrong = ["a text", None]
    with pytest.raises(InputError, match=r"^texts\[1\] is None, a missing value"):
        encoder.points(wrong)
    with pytest.raises(OptionError, match=r"^ids has 1 entries, expected 2, one for each text$"):
        encoder.points(["x", "y"], ids=[1])
    with pytest.raises(OptionError, match=r"^payloads has 3 entries, expected 2, one for each text$"):
        encoder.points(["x", "y"], payloads=[{}, {}, {}])
    with pytest.raises(InputError, match=r"^texts\[0\] is of type list, expected str"):
        encoder.query([*wrong])  # type: ignore[arg-type]
    with pytest.raises(SourceError, match=r"^no/such/folder: no such folder"):
        PortvecEncoder("no/such/folder")
    with pytest.raises(TypeError, match="unexpected keyword argument 'devise'"):
        PortvecEncoder(bundled, devise="cpu")


def test_prompts(prompted: Path) -> None:
    encoder, embedder = PortvecEncoder(prompted), StaticEmbedder.load(prompted)
    (point,) = encoder.points(["a"])
    assert point.vector == embedder.encode_documents("a").tolist()
    assert encoder.query("a") == embedder.encode_queries("a").tolist()
