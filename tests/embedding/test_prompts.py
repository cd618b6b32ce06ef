"""Prompts: which text is put before which texts, by every method and command."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import static_folders
from command_line import RunPortvec
from corpus import paragraphs
from damage import edit
from portvec import Model2VecEmbeddingFunction, StaticEmbedder
from portvec.errors import ArtifactError, FileError, InputError, OptionError
from portvec_export import export_model

PROMPTS = {"query": "search for ", "document": "the text is ", "code": "def "}
TEXTS = [*paragraphs(40), "", "a", "  spaces", "ꙮ"]
LINES = [" ".join(text.split()) for text in paragraphs(9)]


@pytest.fixture
def embedder(prompted: Path) -> StaticEmbedder:
    return StaticEmbedder.load(prompted)


def plain(embedder: StaticEmbedder, texts: list[str]) -> Any:
    """Return the embeddings of texts that are given whole."""
    return embedder.encode(texts, prompt="")


def test_prompts_are_put_before_texts(embedder: StaticEmbedder) -> None:
    assert embedder.prompts == PROMPTS
    for name, prompt in PROMPTS.items():
        whole = [prompt + text for text in TEXTS]
        expected = plain(embedder, whole)
        assert np.array_equal(embedder.encode(TEXTS, prompt_name=name), expected)
        assert np.array_equal(embedder.encode(TEXTS, prompt=prompt), expected)
        assert np.array_equal(embedder.encode(iter(TEXTS), prompt_name=name), expected)
        assert np.array_equal(embedder.encode(TEXTS, prompt_name=name, progress=True), expected)
        batches = [*embedder.encode_batches(TEXTS, prompt_name=name, batch_size=7)]
        np.testing.assert_allclose(np.concatenate(batches), expected, rtol=0, atol=1e-6)
        lists = [*embedder.encode_lists([TEXTS[:9], TEXTS[9:]], prompt=prompt)]
        np.testing.assert_allclose(np.concatenate(lists), expected, rtol=0, atol=1e-6)
        for text in TEXTS:
            alone = embedder.encode(text, prompt_name=name)
            assert np.array_equal(alone, embedder.encode(prompt + text, prompt=""))
        ids = embedder.tokenize(TEXTS, prompt_name=name).lists()
        assert ids == embedder.tokenize(whole, prompt="").lists()
    assert np.array_equal(embedder.encode_queries(TEXTS), embedder.encode(TEXTS, prompt_name="query"))
    assert np.array_equal(embedder.encode_documents(TEXTS), embedder.encode(TEXTS, prompt_name="document"))
    assert embedder.encode_queries("a").shape == (24,)


def test_the_default_is_used_unless_another_is_asked_for(embedder: StaticEmbedder) -> None:
    expected = embedder.encode(TEXTS, prompt_name="code")
    assert np.array_equal(embedder.encode(TEXTS), expected)
    assert embedder.tokenize(TEXTS).lists() == embedder.tokenize(TEXTS, prompt_name="code").lists()
    assert not np.array_equal(embedder.encode(TEXTS, prompt=""), expected)


def test_models_without_prompts_have_empty_ones(tiny: Path) -> None:
    embedder = StaticEmbedder.load(tiny)
    assert embedder.prompts == {"query": "", "document": ""}
    expected = embedder.encode(TEXTS)
    for encode in (embedder.encode_queries, embedder.encode_documents):
        assert np.array_equal(encode(TEXTS), expected)
    given = embedder.encode(TEXTS, prompt="a prompt: ")
    assert np.array_equal(given, embedder.encode([f"a prompt: {text}" for text in TEXTS]))


def test_long_texts_are_cut_with_their_prompt(tmp_path: Path) -> None:
    source = static_folders.save(tmp_path / "model", truncation={"max_length": 4}, prompts={"query": "a b "})
    embedder = StaticEmbedder.load(source, semantics="sentence-transformers")
    ids = embedder.tokenize(["value " * 9], prompt_name="query").lists()
    assert ids == embedder.tokenize(["a b value value"]).lists()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"prompt_name": "queries"},
            OptionError,
            r"^prompt_name 'queries' is unknown, expected one of query, document, code$",
        ),
        ({"prompt_name": ["query"]}, OptionError, r"^prompt_name \['query'\] is unknown, expected one of"),
        (
            {"prompt_name": "query", "prompt": "x"},
            OptionError,
            r"^prompt is 'x' and prompt_name 'query'; leave out one of them$",
        ),
        ({"prompt": 3}, InputError, r"^prompt is of type int, expected str$"),
        (
            {"prompt": "a\ud800"},
            InputError,
            r"^prompt holds the lone surrogate U\+D800 at character 1, which is not text; decode the source",
        ),
    ],
)
def test_refused(embedder: StaticEmbedder, options: Any, error: type[Exception], message: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: embedder.encode(["a"], **options),
        lambda: embedder.encode("a", **options),
        lambda: embedder.encode_batches(["a"], **options),
        lambda: embedder.encode_lists([["a"]], **options),
        lambda: embedder.tokenize(["a"], **options),
    ]
    for call in calls:
        with pytest.raises(error, match=message):
            call()


def test_errors_of_texts_do_not_count_the_prompt(embedder: StaticEmbedder) -> None:
    for texts in (["x", "ab\ud800"], ["x"] * 20 + ["ab\ud800"]):
        with pytest.raises(
            InputError, match=rf"^texts\[{len(texts) - 1}\] holds the lone .* at character 2,"
        ):
            embedder.encode(texts, prompt_name="query")
    with pytest.raises(InputError, match=r"^texts\[1\] is None, a missing value"):
        embedder.encode(["x", None], prompt_name="query")  # type: ignore[list-item]


def test_milvus(prompted: Path, embedder: StaticEmbedder) -> None:
    function = Model2VecEmbeddingFunction(prompted)
    expected: dict[Callable[[list[str]], Any], Any] = {
        function.encode_queries: embedder.encode_queries(TEXTS),
        function.encode_documents: embedder.encode_documents(TEXTS),
        function: embedder.encode(TEXTS),
    }
    for method, rows in expected.items():
        assert np.array_equal(method(TEXTS), rows)


def test_manifest_and_files_for_consumers(prompted: Path) -> None:
    manifest = json.loads((prompted / "portvec.json").read_text())
    assert (manifest["format_version"], manifest["prompts"]) == (2, PROMPTS)
    assert manifest["default_prompt_name"] == "code"
    settings = json.loads((prompted / "config_sentence_transformers.json").read_text())
    assert settings == {"prompts": PROMPTS, "default_prompt_name": "code"}


def test_empty_prompts_for_queries_and_documents_are_no_prompts(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"prompts": {"query": "", "document": None}, "default_prompt_name": "query"}
    source = static_folders.save(tmp_path / "model", **settings)
    artifact = export_model(source, tmp_path / "artifact", semantics="sentence-transformers")
    manifest = json.loads((artifact / "portvec.json").read_text())
    assert manifest["format_version"] == 1
    assert "prompts" not in manifest
    assert not (artifact / "config_sentence_transformers.json").exists()
    assert StaticEmbedder.load(artifact).encode("a").any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompts": ["a"]}, r"portvec\.json: field prompts has type list, expected dict; export"),
        (
            {"prompts": {"query": 3}},
            r"portvec\.json: prompts: query has type int, expected str; export again$",
        ),
        (
            {"prompts": {"query": "a\ud800"}},
            r"portvec\.json: prompts: 'query' holds a lone surrogate, which is not text; export again$",
        ),
        (
            {"prompts": {"a\ud800": "x"}},
            r"portvec\.json: prompts: 'a\\ud800' holds a lone surrogate, which is not text; export again$",
        ),
        ({"default_prompt_name": 3}, r"field default_prompt_name has type int, expected str"),
        (
            {"default_prompt_name": "cod"},
            r"portvec\.json: default_prompt_name 'cod' is unknown, expected one of query, document, code$",
        ),
        ({"format_version": True}, r"portvec\.json: artifact format version True, but this portvec reads"),
        ({"format_version": 2.0}, r"portvec\.json: artifact format version 2\.0, but this portvec reads"),
        (
            {"format_version": 1, "prompts": {}, "default_prompt_name": "query"},
            r"has default_prompt_name, which format version 1 does not have; export the model again$",
        ),
        ({"format_version": 1}, r"has prompts, which format version 1 does not have; export the"),
    ],
)
def test_forged_manifests(prompted: Path, tmp_path: Path, changes: Any, message: str) -> None:
    artifact = Path(shutil.copytree(prompted, tmp_path / "artifact"))
    edit(artifact, lambda manifest: manifest.update(changes))
    with pytest.raises(ArtifactError, match=message):
        StaticEmbedder.load(artifact)


def test_info(portvec: RunPortvec, prompted: Path, tiny: Path) -> None:
    shown = portvec("info", prompted).stdout
    assert "query 'search for ', document 'the text is ', code 'def ' (default)\n" in shown
    assert "unknown token  none is left out\n" in shown
    assert "prompts" not in portvec("info", tiny).stdout


def lines(output: str) -> Any:
    return np.array([json.loads(line)["embedding"] for line in output.splitlines()], dtype=np.float32)


def test_embed_and_search(
    portvec: RunPortvec, prompted: Path, embedder: StaticEmbedder, tmp_path: Path
) -> None:
    texts = LINES[:5]
    (tmp_path / "texts.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    for flags, name in ([], "document"), (["--prompt-name", "query"], "query"):
        expected = embedder.encode(texts, prompt_name=name)
        assert np.array_equal(lines(portvec("embed", prompted, *texts, *flags).stdout), expected)
        assert (
            portvec("embed", prompted, "-i", "texts.txt", "-o", "out.npy", "--overwrite", *flags).returncode
            == 0
        )
        assert np.array_equal(np.load(tmp_path / "out.npy"), expected)
    for extra in ([], ["-o", "out.parquet"], ["-o", "other.npy"]):
        refused = portvec("embed", prompted, "-i", "texts.txt", "--prompt-name", "queries", *extra)
        assert refused.returncode == 1
        assert refused.stderr == (
            "portvec: error: prompt_name 'queries' is unknown, expected one of query, document, code\n"
        )
    query = embedder.encode_queries("value")
    documents = embedder.encode_documents(texts)
    scores = documents @ query / np.linalg.norm(documents, axis=1) / np.linalg.norm(query)
    found = json.loads(portvec("search", prompted, "value", "-i", "texts.txt", "--json").stdout)
    assert [hit["text"] for hit in found] == [texts[row] for row in np.argsort(-scores)]
    assert [hit["score"] for hit in found] == pytest.approx(sorted(scores, reverse=True), abs=1e-6)
    assert portvec("embed", prompted, "-i", "texts.txt", "-o", "out.parquet").returncode == 0
    stored = json.loads(portvec("search", prompted, "value", "--vectors", "out.parquet", "--json").stdout)
    assert [hit["score"] for hit in stored] == pytest.approx([hit["score"] for hit in found], abs=1e-6)


def test_a_run_does_not_go_on_with_another_prompt(
    prompted: Path, embedder: StaticEmbedder, tmp_path: Path
) -> None:
    from portvec._bulk import journal
    from portvec._bulk.running import Plan
    from portvec._bulk.sources import open_source
    from portvec._bulk.to_file import embed_file

    (tmp_path / "texts.txt").write_text("\n".join(LINES) + "\n", encoding="utf-8")
    source = open_source(tmp_path / "texts.txt")
    output = tmp_path / "out.parquet"

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal.Journal, "finish", stop)
        with pytest.raises(KeyboardInterrupt):
            embed_file(embedder, source, output, Plan(part_rows=4))
    with pytest.raises(FileError) as caught:
        embed_file(embedder, source, output, Plan(part_rows=4, prompt_name="query"))
    assert str(caught.value) == (
        f"{output}.partial: holds 9 rows of a run with another prompt ('the text is ', now 'search for '); "
        "repeat that run to go on with it, or pass overwrite=True to begin again"
    )
    assert embed_file(embedder, source, output, Plan(part_rows=4)).resumed == 9


def test_files_of_embeddings_name_the_prompt(prompted: Path, tiny: Path, tmp_path: Path) -> None:
    import pyarrow as pa

    from portvec._bulk.arrow import embed_batch
    from portvec._bulk.provenance import Provenance

    embedder = StaticEmbedder.load(prompted)
    made = Provenance.of(embedder, "text", "embedding")
    assert made.prompt == "the text is "
    assert Provenance.read(made.metadata()) == made
    without = Provenance.of(StaticEmbedder.load(tiny), "text", "embedding")
    assert b"prompt" not in without.metadata()[b"portvec"]
    assert Provenance.read(without.metadata()) == without

    batch = pa.record_batch({"text": pa.array(["a", "b", None, "a"]).dictionary_encode()})
    rows = embed_batch(embedder, batch).column("embedding").to_pylist()
    assert rows == [*embedder.encode_documents(["a", "b"]).tolist(), None, rows[0]]
