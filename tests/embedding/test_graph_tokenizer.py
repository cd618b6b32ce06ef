"""`tokenizer="graph"`: the ids of a graph with text input, with which everything else works as ever."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import character_graphs
from command_line import RunPortvec
from damage import edit
from portvec import Model2VecEmbeddingFunction, StaticEmbedder
from portvec._artifact import format as fmt
from portvec.errors import ArtifactError, InputError, OptionError
from project import BATCH_ROUNDING
from shared import make_once

TEXTS = [
    "abc",
    "",
    "zz?",
    "a\0",
    "\0\0a",
    "\u4e2d\U0001f600\u00e9 b",
    "j" * 600,
    "h" * 511 + "z" * 3 + "a",
    "a\nb",
    "\ufffd\U0010ffff",
]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact with both graphs; read-only by agreement."""
    return make_once(tmp_path_factory, "character-graphs", character_graphs.export) / "artifact"


@pytest.fixture(params=[["strings"], ["codepoints"], ["strings", "codepoints"]], ids="+".join)
def artifact(exported: Path, request: pytest.FixtureRequest, copy: Callable[[Path], Path]) -> Path:
    folder = copy(exported)
    keep(folder, request.param)
    return folder


@pytest.fixture
def copy(tmp_path: Path) -> Callable[[Path], Path]:
    def copy_of(folder: Path) -> Path:
        return Path(shutil.copytree(folder, tmp_path / "copy"))

    return copy_of


def keep(folder: Path, kinds: list[str]) -> None:
    edit(folder, lambda m: m.update(text_inputs={kind: fmt.TEXT_GRAPHS[kind] for kind in kinds}))


@pytest.fixture
def graph(artifact: Path) -> StaticEmbedder:
    return StaticEmbedder.load(artifact, tokenizer="graph")


@pytest.fixture
def plain(exported: Path) -> StaticEmbedder:
    return StaticEmbedder.load(exported, tokenizer="tokenizers")


@pytest.mark.parametrize("texts", [TEXTS, TEXTS[::-1] * 40, TEXTS[:1], [""], ["", ""], []])
def test_ids_and_vectors(graph: StaticEmbedder, plain: StaticEmbedder, texts: list[str]) -> None:
    """They are those of the reference, bit for bit, whatever is in the batch, also with U+0000 in a text."""
    assert graph.tokenize(texts).lists() == plain.tokenize(texts).lists()
    np.testing.assert_array_equal(graph.encode(texts), plain.encode(texts))
    np.testing.assert_array_equal(graph.encode(iter(texts)), plain.encode(iter(texts)))


@pytest.mark.parametrize("text", TEXTS)
def test_single_texts(graph: StaticEmbedder, plain: StaticEmbedder, text: str) -> None:
    np.testing.assert_array_equal(graph.encode(text), plain.encode(text))


def test_name_and_pickle(graph: StaticEmbedder, plain: StaticEmbedder) -> None:
    assert graph.tokenizer == "graph"
    again = pickle.loads(pickle.dumps(graph))
    assert again.tokenizer == "graph"
    np.testing.assert_array_equal(again.encode(TEXTS), plain.encode(TEXTS))


def test_many_texts_with_threads(artifact: Path, plain: StaticEmbedder) -> None:
    texts = [text[:count] for count in range(1, 600) for text in TEXTS]
    graph = StaticEmbedder.load(artifact, tokenizer="graph", threads=3)
    expected = plain.encode(texts)
    batches = np.concatenate(list(graph.encode_batches(texts, batch_size=700)))
    for got in (graph.encode(texts), batches):
        np.testing.assert_allclose(got, expected, rtol=0, atol=BATCH_ROUNDING)


def test_prompts(graph: StaticEmbedder, plain: StaticEmbedder) -> None:
    """The graph gets the prompt with the text, so limits count it."""
    for prompt in ("bad ", "a" * 510, "\0"):
        expected = plain.tokenize(TEXTS, prompt=prompt).lists()
        assert graph.tokenize(TEXTS, prompt=prompt).lists() == expected
        np.testing.assert_array_equal(graph.encode("abc", prompt=prompt), plain.encode("abc", prompt=prompt))


def test_default_prompt_is_put_once(exported: Path, copy: Callable[[Path], Path]) -> None:
    folder = copy(exported)
    edit(folder, lambda m: m.update(format_version=2, prompts={"x": "ab"}, default_prompt_name="x"))
    graph = StaticEmbedder.load(folder, tokenizer="graph")
    ids = graph.tokenize(["a"], prompt="").lists()[0]
    assert graph.tokenize(["a"]).lists() == [[*ids, *graph.tokenize(["b"], prompt="").lists()[0], *ids]]


@pytest.mark.parametrize("where", [0, 1])
def test_lone_surrogates(graph: StaticEmbedder, where: int) -> None:
    texts = ["a", "b"]
    texts[where] += "\ud83d"
    message = rf"^texts\[{where}\] holds the lone surrogate U\+D83D at character 1"
    with pytest.raises(InputError, match=message):
        graph.encode(texts)
    with pytest.raises(InputError, match=r"^texts\[0\] holds the lone surrogate"):
        graph.encode(texts[where])
    with pytest.raises(InputError, match=r"^texts\[0\] holds the lone surrogate U\+D83D"):
        graph.encode(["\ud83d", "\ude00"])  # together they would be one character


def test_token_vectors(graph: StaticEmbedder, plain: StaticEmbedder) -> None:
    """The limit of the graph is the only one that it can have."""
    limit = graph.manifest.max_length
    assert limit == 512
    for got, expected in zip(
        graph.encode_tokens(TEXTS, max_length=limit),
        plain.encode_tokens(TEXTS, max_length=limit),
        strict=True,
    ):
        np.testing.assert_array_equal(got, expected)
    for other in (None, 3, 513):
        message = (
            f"^max_length is {other}, but tokenizer='graph' keeps 512 tokens of a text, as the model does; "
            "pass max_length=512, or load the model with tokenizer='auto'$"
        )
        with pytest.raises(OptionError, match=message):
            graph.encode_tokens("abc", max_length=other)
        with pytest.raises(OptionError, match=message):
            graph.encode_tokens(["abc"], max_length=other)


def test_token_vectors_without_a_limit(tmp_path: Path) -> None:
    folder = character_graphs.export(tmp_path, max_length=None)
    graph = StaticEmbedder.load(folder, tokenizer="graph")
    expected = StaticEmbedder.load(folder, tokenizer="tokenizers").encode_tokens("a" * 2000)
    np.testing.assert_array_equal(graph.encode_tokens("a" * 2000), expected)
    with pytest.raises(
        OptionError, match="keeps all tokens of a text, as the model does; pass max_length=None"
    ):
        graph.encode_tokens("abc", max_length=2)


def test_artifact_without_such_a_graph(exported: Path, copy: Callable[[Path], Path]) -> None:
    folder = copy(exported)
    edit(folder, lambda m: m.pop("text_inputs"))
    message = (
        r"copy: has no graph with text input, which tokenizer='graph' needs; export the model again with "
        r"'portvec export \.\.\. --text-input', or use tokenizer='auto'$"
    )
    with pytest.raises(ArtifactError, match=message):
        StaticEmbedder.load(folder, tokenizer="graph")
    StaticEmbedder.load(folder)


def test_changed_graph_is_refused_where_it_is_used(exported: Path, copy: Callable[[Path], Path]) -> None:
    folder = copy(exported)
    keep(folder, ["strings"])
    content = bytearray((folder / "onnx/model_text.onnx").read_bytes())
    content[-10] ^= 1
    (folder / "onnx/model_text.onnx").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"model_text\.onnx: content differs from what was exported"):
        StaticEmbedder.load(folder, tokenizer="graph")
    StaticEmbedder.load(folder).encode(TEXTS)  # which does not use it


_WITHOUT_TOKENIZERS = """
import sys
sys.modules["tokenizers"] = None  # importing it fails
from portvec import StaticEmbedder
embedder = StaticEmbedder.load(sys.argv[1], tokenizer="graph")
assert embedder.encode("abc").any() and embedder.encode(["abc", "[UNK]", "\\ufb01 ij"] * 3000).any()
assert embedder.encode_tokens("abc", max_length=512).shape == (3, 24)
print(embedder.tokenize(["abc"]).lists())
"""


def test_the_library_is_never_imported(artifact: Path) -> None:
    command = [sys.executable, "-c", _WITHOUT_TOKENIZERS, str(artifact)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.stdout, result.stderr) == ("[[1, 2, 3]]\n", "")


def test_command_line(artifact: Path, portvec: RunPortvec, tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("abc\n\u4e2da\n")
    found: list[Any] = []
    for backend in ("graph", "tokenizers"):
        out = tmp_path / f"{backend}.npy"
        result = portvec("embed", artifact, "-i", texts, "-o", out, "--tokenizer", backend)
        assert result.returncode == 0, result.stderr
        found.append(np.load(out))
    assert found[0].shape == (2, 24)
    np.testing.assert_array_equal(*found)


def test_sixteen_threads(artifact: Path, plain: StaticEmbedder) -> None:
    graph = StaticEmbedder.load(artifact, tokenizer="graph", threads=1)
    batches = [[text[: 7 * count] for text in TEXTS] for count in range(100)]
    with ThreadPoolExecutor(16) as executor:
        for got, batch in zip(executor.map(graph.encode, batches), batches, strict=True):
            np.testing.assert_array_equal(got, plain.encode(batch))


_FORK = """
import os, sys, threading
from portvec import StaticEmbedder

texts = ["abc" * (i % 50) for i in range(2000)]
embedder = StaticEmbedder.load(sys.argv[1], tokenizer="graph", threads=2)
expected = embedder.encode(texts)
is_over = threading.Event()

def run():
    while not is_over.is_set():
        embedder.encode(texts)

threading.Thread(target=run).start()
for _ in range(5):
    child = os.fork()
    if child == 0:
        os._exit(0 if (embedder.encode(texts) == expected).all() else 3)
    assert os.waitpid(child, 0)[1] == 0
is_over.set()
print("same")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_fork_while_a_thread_embeds(artifact: Path) -> None:
    command = [sys.executable, "-c", _FORK, str(artifact)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (result.stdout, result.stderr, result.returncode) == ("same\n", "", 0)


def test_embedding_function(artifact: Path, plain: StaticEmbedder) -> None:
    function = Model2VecEmbeddingFunction(artifact, tokenizer="graph")
    np.testing.assert_array_equal(function.encode_documents(TEXTS), plain.encode(TEXTS))
