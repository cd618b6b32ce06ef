"""mteb: its scores are those that numpy computes from portvec's vectors, and each artifact has its own."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from frameworks import ANSWERS, NO_WORDS, OTHERS, need
from portvec import StaticEmbedder
from portvec.errors import OptionError, SourceError
from project import BUNDLED, PREBUILT, ROOT

need("mteb", "consumers")

import mteb
from datasets import Dataset, DatasetDict
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.sts import AbsTaskSTS
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.models import EncoderProtocol
from mteb.types import PromptType

from portvec.integrations.mteb import PortvecEncoder

# Halves of a paragraph belong together. Some are found, some are not. Each second half is there once, because
# mteb ranks equal documents in any order.
HALVES = [
    (first, second)
    for second, first in {
        text[len(text) // 2 :].strip(): text[: len(text) // 2] for text in OTHERS if len(text) > 60
    }.items()
]
# Each half beside its other half, beside one near it, and beside one far away.
PAIRS = [
    (first, HALVES[(n + step) % len(HALVES)][1], score)
    for n, (first, _) in enumerate(HALVES[:60])
    for step, score in ((0, 5.0), (1, 2.0), (31, 0.0))
]


def metadata(kind: Any, main_score: str) -> TaskMetadata:
    return TaskMetadata(
        name=f"Local{kind}",
        description="Made in the test.",
        type=kind,
        eval_langs=["eng-Latn"],
        main_score=main_score,
        dataset={"path": "none", "revision": "1"},
    )


class LocalSTS(AbsTaskSTS):
    metadata = metadata("STS", "cosine_spearman")

    def load_data(self, num_proc: int | None = None, **options: Any) -> None:
        columns = dict(
            zip(("sentence1", "sentence2", "score"), map(list, zip(*PAIRS, strict=True)), strict=True)
        )
        self.dataset = DatasetDict(test=Dataset.from_dict(columns))
        self.data_loaded = True


class LocalRetrieval(AbsTaskRetrieval):
    metadata = metadata("Retrieval", "ndcg_at_10")

    def load_data(self, num_proc: int | None = None, **options: Any) -> None:
        first, second = zip(*HALVES, strict=True)
        test: Any = {
            "queries": Dataset.from_list([{"id": f"q{n}", "text": text} for n, text in enumerate(first)]),
            "corpus": Dataset.from_list([{"id": f"d{n}", "text": text} for n, text in enumerate(second)]),
            "relevant_docs": {f"q{n}": {f"d{n}": 1} for n in range(len(HALVES))},
            "top_ranked": None,
        }
        self.dataset = {"default": {"test": test}}
        self.data_loaded = True


@pytest.fixture(scope="module")
def int4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact of the same model, with other vectors."""
    if PREBUILT:
        return Path(PREBUILT) / "int4"
    from portvec_export import export_model

    return export_model(BUNDLED, tmp_path_factory.mktemp("int4") / "artifact", dtype="int4")


def score(model: Any, task: Any, **options: Any) -> float:
    result = mteb.evaluate(model, task, show_progress_bar=False, **{"cache": None, **options})
    return float(result.task_results[0].get_score())


def unit(artifact: Path, texts: Any) -> npt.NDArray[np.float64]:
    vectors = StaticEmbedder.load(artifact).encode(list(texts)).astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    rows: npt.NDArray[np.float64] = vectors / np.maximum(lengths, 1e-12)
    return rows


def rank(values: Any) -> npt.NDArray[np.float64]:
    """Return the rank of each value; equal values share the mean of theirs."""
    values = np.asarray(values)
    below = (values < values[:, None]).sum(axis=1)
    equal = (values == values[:, None]).sum(axis=1)
    ranks: npt.NDArray[np.float64] = below + (equal + 1) / 2
    return ranks


def test_similarity_is_scored_as_numpy_does(bundled: Path) -> None:
    first, second, judged = zip(*PAIRS, strict=True)
    cosines = (unit(bundled, first) * unit(bundled, second)).sum(axis=1)
    expected = np.corrcoef(rank(cosines), rank(judged))[0, 1]
    assert 0.1 < expected < 0.9
    assert score(PortvecEncoder(bundled), LocalSTS()) == pytest.approx(expected, abs=1e-4)


def test_retrieval_is_scored_as_numpy_does(bundled: Path) -> None:
    first, second = zip(*HALVES, strict=True)
    cosines = unit(bundled, first) @ unit(bundled, second).T
    ranks = 1 + (cosines > np.diag(cosines)[:, None]).sum(axis=1)
    expected = np.where(ranks <= 10, 1 / np.log2(1 + ranks), 0).mean()
    assert 0.1 < expected < 0.9
    assert score(PortvecEncoder(bundled), LocalRetrieval()) == pytest.approx(expected, abs=1e-4)


def test_each_artifact_has_results_of_its_own(bundled: Path, int4: Path, tmp_path: Path) -> None:
    cache = mteb.ResultCache(tmp_path)
    one, other = PortvecEncoder(bundled), PortvecEncoder(int4)
    assert one.mteb_model_meta.name == other.mteb_model_meta.name
    scores = [score(model, LocalRetrieval(), cache=cache) for model in (one, other, one, other)]
    assert scores[:2] == scores[2:]
    assert scores[0] != scores[1]
    kept = {path.parent.name for path in tmp_path.rglob("LocalRetrieval.json")}
    assert kept == {StaticEmbedder.load(folder).manifest_sha256 for folder in (bundled, int4)}


def test_what_mteb_stores_of_the_model(bundled: Path) -> None:
    model = PortvecEncoder(bundled)
    assert isinstance(model, EncoderProtocol)
    meta = model.mteb_model_meta
    assert (meta.embed_dim, meta.max_tokens) == (256, 512)
    owner, _, name = (meta.name or "").partition("/")
    assert (owner, name) == ("portvec", StaticEmbedder.load(bundled).manifest.source.id)


def test_queries_and_documents_get_the_prompts_of_the_model(bundled: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bundled, tmp_path / "artifact"))
    manifest = json.loads((folder / "portvec.json").read_text(encoding="utf-8"))
    manifest |= {
        "format_version": 2,
        "prompts": {"query": "search: ", "document": "passage: ", "both": "text: "},
    }
    manifest["default_prompt_name"] = "both"
    (folder / "portvec.json").write_text(json.dumps(manifest), encoding="utf-8")
    model, plain = PortvecEncoder(folder), StaticEmbedder.load(bundled)
    task = {"task_metadata": LocalSTS.metadata, "hf_split": "test", "hf_subset": "default"}
    for kind, prompt in (
        (PromptType.query, "search: "),
        (PromptType.document, "passage: "),
        (None, "text: "),
    ):
        vectors = model.encode([{"text": ["a cat", "a dog"]}, {"text": ["rain"]}], prompt_type=kind, **task)
        expected = plain.encode([f"{prompt}{text}" for text in ("a cat", "a dog", "rain")])
        np.testing.assert_allclose(vectors, expected, rtol=0, atol=1e-6)


def test_texts_without_a_known_word_are_similar_to_nothing(bundled: Path) -> None:
    model = PortvecEncoder(bundled)
    vectors = StaticEmbedder.load(bundled).encode([*NO_WORDS, *ANSWERS])
    assert not vectors[: len(NO_WORDS)].any()
    similarity = np.asarray(model.similarity(vectors, vectors))
    pairwise = np.asarray(model.similarity_pairwise(vectors, vectors))
    assert not similarity[: len(NO_WORDS)].any()
    assert not pairwise[: len(NO_WORDS)].any()
    np.testing.assert_allclose(pairwise[len(NO_WORDS) :], 1, atol=1e-6)


def test_another_precision_is_refused(bundled: Path) -> None:
    with pytest.raises(OptionError, match=r"^precision is 'int8', expected 'float32', which .* dtype='int8'"):
        score(PortvecEncoder(bundled), LocalSTS(), encode_kwargs={"precision": "int8"})
    exact = score(PortvecEncoder(bundled), LocalSTS())
    assert score(PortvecEncoder(bundled), LocalSTS(), encode_kwargs={"batch_size": 7}) == exact


def test_sources_and_options_are_those_of_the_embedder(bundled: Path) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'devise'"):
        PortvecEncoder(bundled, devise="cpu")
    with pytest.raises(SourceError, match=r"^no/such/folder: no such folder"):
        PortvecEncoder("no/such/folder")


def test_the_code_of_the_page_prints_what_its_comments_say(bundled: Path, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "quality.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(import mteb\n.*?)```", page, flags=re.DOTALL)
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "a").symlink_to(bundled)
    result = subprocess.run(
        [sys.executable, "-c", block], cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=300
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == re.findall(r"^ *print\(.*\)  # (.+)$", block, flags=re.MULTILINE)


def test_the_tasks_and_benchmarks_that_the_page_names_exist() -> None:
    page = (ROOT / "docs" / "quality.md").read_text(encoding="utf-8")
    (tasks,) = re.findall(r"get_tasks\(tasks=\[(.*?)\]\)", page)
    names = re.findall(r'"([^"]+)"', tasks)
    assert [task.metadata.name for task in mteb.get_tasks(tasks=names)] == names
    for benchmark in re.findall(r'get_benchmark\("([^"]+)"\)', page):
        assert mteb.get_benchmark(benchmark).name == benchmark
