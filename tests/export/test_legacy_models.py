"""Models in the formats of older versions: each error says what to do, and doing it works."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import static_folders
import tiny_models
from classifiers import pipeline
from command_line import RunPortvec
from corpus import paragraphs
from hub_checks import anonymous
from hub_server import LocalHub
from portvec import StaticClassifier, StaticEmbedder
from portvec.errors import SourceError
from portvec_export import export_model

COMMAND = re.compile(
    r"pipeline\.skops: a head in the old scikit-learn format; run pip install scikit-learn skops, convert it "
    r"once with (python -c .*), and use (.*)-converted instead$"
)


def legacy_head(folder: Path) -> Path:
    """Give a pipeline the name that its head had once. What is in the file is never read."""
    pipeline("softmax").save_pretrained(str(folder))
    (folder / "head.safetensors").rename(folder / "pipeline.skops")
    return folder


def read_command(message: object) -> tuple[str, str]:
    found = COMMAND.search(str(message))
    assert found, message
    return found[1], found[2]


class TestHeadsOfSkops:
    @pytest.mark.parametrize("load", [export_model, StaticEmbedder.load, StaticClassifier.load])
    def test_error_has_the_command(
        self, load: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        legacy_head(tmp_path / "topics")
        arguments = ["artifact"] if load is export_model else []
        with pytest.raises(SourceError) as error:
            load("topics", *arguments)
        assert read_command(error.value) == (
            'python -c "import numpy; from model2vec.inference import convert_legacy_pipeline; '
            "pipeline = convert_legacy_pipeline('topics'); [setattr(each, 'weight', "
            "numpy.ascontiguousarray(each.weight)) for each in pipeline.head.layers]; "
            "pipeline.save_pretrained('topics-converted')\"",
            "topics",
        )

    @pytest.mark.skipif(os.name == "nt", reason="the shell is that of Unix, and so are the names")
    def test_names_that_a_shell_would_read(self, tmp_path: Path) -> None:
        folder = legacy_head(tmp_path / 'it\'s $HOME `x` "y" \\z!')
        with pytest.raises(SourceError) as error:
            export_model(folder, tmp_path / "artifact")
        command, name = read_command(error.value)
        assert name == folder.name
        code = shlex.split(command)[2]
        assert f"convert_legacy_pipeline({str(folder)!r})" in code
        echoed = subprocess.run(
            ["sh", "-c", command.replace("python -c", "printf %s", 1)], capture_output=True, encoding="utf-8"
        )
        assert echoed.stdout == code

    def test_a_newer_head_beside_it_is_read(self, tmp_path: Path) -> None:
        pipeline("softmax").save_pretrained(str(tmp_path / "pipeline"))
        (tmp_path / "pipeline" / "pipeline.skops").write_bytes(b"an older one")
        assert StaticClassifier.load(tmp_path / "pipeline").predict(["a text"]).shape == (1,)

    def test_on_the_hub(self, portvec_process: RunPortvec, hub: LocalHub, tmp_path: Path) -> None:
        run = anonymous(portvec_process, hub)
        hub.add_folder("owner/topics", legacy_head(tmp_path / "pipeline"))
        for _ in range(2):  # downloaded, and from huggingface_hub's cache
            result = run("embed", "owner/topics", "a text")
            assert result.returncode == 1
            command, name = read_command(result.stderr.strip())
            assert name == "topics"
            (folder,) = re.findall(r"convert_legacy_pipeline\('(.*?)'\)", command)
            assert (Path(folder) / "pipeline.skops").is_file()

    @pytest.mark.slow
    @pytest.mark.parametrize("kind", ["classifier", "regressor"])
    def test_the_command_converts(self, kind: str, tmp_path: Path) -> None:
        skops_io = pytest.importorskip("skops.io")
        networks = pytest.importorskip("sklearn.neural_network")
        pipelines = pytest.importorskip("sklearn.pipeline")
        folder = tiny_models.save(tmp_path / "old topics")
        texts = paragraphs(30)
        embeddings = tiny_models.model().encode(texts)
        options: dict[str, Any] = {
            "hidden_layer_sizes": (8,),
            "max_iter": 2000,
            "tol": 0.1,
            "random_state": 1,
        }
        if kind == "classifier":
            head = networks.MLPClassifier(**options).fit(embeddings, ["cat", "dog", "fish"] * 10)
        else:
            head = networks.MLPRegressor(**options).fit(embeddings, embeddings[:, :3])
        skops_io.dump(pipelines.make_pipeline(head), folder / "pipeline.skops")
        with pytest.raises(SourceError) as error:
            export_model(folder, tmp_path / "artifact")
        command, name = read_command(error.value)
        command = command.replace("python", shlex.quote(sys.executable), 1)
        subprocess.run(command, shell=True, check=True, cwd=tmp_path, timeout=300)
        converted = tmp_path / f"{name}-converted"
        classifier = StaticClassifier.load(converted)
        if kind == "classifier":
            got = classifier.predict_proba(texts)
            np.testing.assert_allclose(got, head.predict_proba(embeddings), rtol=0, atol=1e-5)
        else:
            np.testing.assert_allclose(classifier.predict(texts), head.predict(embeddings), atol=1e-5)


# Files of a model, changes to them (None removes one), and the error.
_PICKLE = (
    r"a pickle, which portvec never opens; save a static model again as safetensors \(.*\), and distill a"
)
LAYOUTS: dict[str, tuple[bool | None, dict[str, str | None], str]] = {
    "the table's first name": (
        None,
        {"model.safetensors": "embeddings.safetensors"},
        r"embeddings\.safetensors is the name that model2vec 0\.1 gave the table; rename it to model\.safet",
    ),
    "a pickled table": (
        False,
        {"model.safetensors": "pytorch_model.bin"},
        rf"has pytorch_model\.bin, {_PICKLE}",
    ),
    "a pickled table in a folder": (
        True,
        {"0_StaticEmbedding/model.safetensors": "0_StaticEmbedding/pytorch_model.bin"},
        rf"has 0_StaticEmbedding/pytorch_model\.bin, {_PICKLE}",
    ),
    "no configuration": (
        None,
        {"config.json": None},
        r'has model\.safetensors, but no config\.json; add one, such as {"normalize": true} if embeddings '
        r"have unit length, or add config_sentence_transformers\.json with {} if sentence-transformers wrote "
        r"the model$",
    ),
    "no tokenizer": (
        None,
        {"tokenizer.json": None},
        r"has model\.safetensors, but no tokenizer\.json; copy or download it too$",
    ),
    "no configuration of sentence-transformers": (
        True,
        {"config_sentence_transformers.json": None},
        r"has 0_StaticEmbedding/model\.safetensors, but no config_sentence_transformers\.json; add one, such",
    ),
}


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str]:
    nested, changes, message = LAYOUTS[request.param]
    folder = tmp_path / "model"
    if nested is None:
        tiny_models.save(folder)
    else:
        tiny_models.save_sentence_transformers(folder, nested=nested)
    for old, new in changes.items():
        if new is None:
            (folder / old).unlink()
        else:
            (folder / old).rename(folder / new)
    return folder, message


def test_folders(layout: tuple[Path, str], tmp_path: Path) -> None:
    folder, message = layout
    for load in (StaticEmbedder.load, lambda source: export_model(source, tmp_path / "artifact")):
        with pytest.raises(SourceError, match=rf"^{re.escape(str(folder))}: {message}"):
            load(folder)


def test_repositories(
    layout: tuple[Path, str], portvec_process: RunPortvec, hub: LocalHub, tmp_path: Path
) -> None:
    folder, message = layout
    hub.add_folder("owner/model", folder)
    result = anonymous(portvec_process, hub)("embed", "owner/model", "a text")
    assert result.returncode == 1
    assert re.search(rf"owner/model: {message}", result.stderr.strip())


def test_the_remedies_help(tmp_path: Path) -> None:
    texts = paragraphs(20)
    folder = tiny_models.save(tmp_path / "model")
    expected = StaticEmbedder.load(folder).encode(texts)
    (folder / "config.json").write_text('{"normalize": true}')
    np.testing.assert_array_equal(StaticEmbedder.load(folder).encode(texts), expected)


@pytest.mark.parametrize("semantics", [None, "sentence-transformers"])
def test_the_configuration_of_sentence_transformers(semantics: Any, tmp_path: Path) -> None:
    folder = static_folders.save(tmp_path / "model")
    expected = StaticEmbedder.load(folder, semantics=semantics).encode("the value")
    (folder / "config_sentence_transformers.json").unlink()
    message = r"with {} if sentence-transformers wrote the model$"
    with pytest.raises(SourceError, match=rf"or add config_sentence_transformers\.json {message}"):
        StaticEmbedder.load(folder, semantics=semantics)
    (folder / "config_sentence_transformers.json").write_text("{}")
    again = StaticEmbedder.load(folder, semantics=semantics).encode("the value")
    np.testing.assert_array_equal(again, expected)
