"""The artifact's model card: front matter that the Hub reads, figures, and code that runs as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import ModelCard

import static_folders
from classifiers import pipeline
from command_line import RunPortvec
from hub_server import LocalHub
from portvec import StaticEmbedder, verify
from portvec._artifact.manifest import Source
from portvec_export import export_model
from portvec_export._source.card import read_front_matter
from project import BUNDLED

CARD = """---
license: {license}
language: [en, "no"]
base_model: someone/teacher
tags: [whatever]
---
# A model
"""


def front(folder: Path) -> dict[str, Any]:
    return dict(ModelCard.load(folder / "README.md").data.to_dict())


def export(model: Path, folder: Path, **options: Any) -> Path:
    return export_model(model, folder / "artifact", **options)


def test_front_matter_of_a_model_without_a_card(tiny_model: Path, tmp_path: Path) -> None:
    (tiny_model / "README.md").unlink(missing_ok=True)
    assert front(export(tiny_model, tmp_path)) == {
        "library_name": "portvec",
        "pipeline_tag": "sentence-similarity",
        "tags": ["model2vec", "static-embeddings", "embeddings", "onnx", "transformers.js"],
    }


def test_licence_language_and_base_model_are_those_of_the_source(tiny_model: Path, tmp_path: Path) -> None:
    (tiny_model / "README.md").write_text(CARD.format(license="apache-2.0"))
    found = front(export(tiny_model, tmp_path))
    assert (found["license"], found["language"], found["base_model"]) == (
        "apache-2.0",
        ["en", "no"],
        "someone/teacher",
    )
    assert "whatever" not in found["tags"]


def test_licence_of_its_own_keeps_its_name_and_link(tiny_model: Path, tmp_path: Path) -> None:
    text = "other\nlicense_name: their-terms\nlicense_link: LICENSE"
    (tiny_model / "README.md").write_text(CARD.format(license=text))
    found = front(export(tiny_model, tmp_path))
    assert [found[name] for name in ("license", "license_name", "license_link")] == [
        "other",
        "their-terms",
        "LICENSE",
    ]


def test_base_model_of_a_model_from_the_hub(hub: LocalHub, tiny_model: Path, tmp_path: Path) -> None:
    (tiny_model / "README.md").write_text(CARD.format(license="mit"))
    commit = hub.add_folder("owner/model", tiny_model).commit
    arguments = ["export", "owner/model", "-o", str(tmp_path / "artifact")]
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf")}
    subprocess.run([sys.executable, "-m", "portvec", *arguments], env=environment, check=True)
    assert front(tmp_path / "artifact")["base_model"] == "owner/model"
    text = (tmp_path / "artifact" / "README.md").read_text()
    assert f"The Model2Vec model [owner/model](https://huggingface.co/owner/model), commit `{commit}`" in text


def test_figures_are_those_of_the_manifest(tiny_model: Path, tmp_path: Path) -> None:
    folder = export(tiny_model, tmp_path, dtype="int8", dim=16, max_length=100)
    manifest = StaticEmbedder.load(folder).manifest
    text = (folder / "README.md").read_text()
    assert manifest.quality
    rows = dict(re.findall(r"^\| (.+?) \| (.+?) \|$", text, flags=re.MULTILINE))
    assert rows["embedding"] == "16 x float32, unit length"
    assert rows["table"] == "int8"
    assert rows["maximum length"] == "100 tokens"
    quality = manifest.quality.paragraphs
    assert f"mean {quality.mean:.5f}, minimum {quality.min:.5f}" in rows["quality"]
    assert f"{quality.texts:,} paragraphs" in rows["quality"]
    assert rows["`onnx/model.onnx_data`"] == f"{(folder / 'onnx' / 'model.onnx_data').stat().st_size:,}"
    # The export's own check, made again here; its last digits are the same on one machine.
    checked = verify(folder)
    assert f"{checked.texts} recorded texts" in rows["exactness"]
    assert f"within {checked.largest_difference:.1e} of" in rows["exactness"]


def test_rules_of_sentence_transformers(portvec: RunPortvec, tmp_path: Path) -> None:
    """They are portvec's own computation: nobody ran the library."""
    prompts = {"query": "find|it: ", "code": "x\ny "}
    layer = static_folders.dense(24, 16)
    source = static_folders.save(
        tmp_path / "model", "wordpiece", layer, prompts=prompts, default_prompt_name="code"
    )
    done = portvec("export", source, "-o", "artifact", "--semantics", "sentence-transformers")
    assert done.stderr.endswith(", verified against the rules of sentence-transformers\n"), done.stderr
    text = (tmp_path / "artifact" / "README.md").read_text(encoding="utf-8")
    assert "portvec exported it, and compared it with the rules of sentence-transformers." in text
    assert "token ids identical to those of the rules of sentence-transformers, vectors within" in text
    assert "| embedding | 16 x float32, not normalized |" in text
    assert "| after the mean | dense 24 to 16 with tanh |" in text
    assert r"| prompts | query 'find\|it: ', code 'x\ny ' (default); `encode_queries` and" in text


def test_quality_of_an_exact_table(tiny: Path) -> None:
    assert "| quality | the table holds the model's values exactly |" in (tiny / "README.md").read_text()


@pytest.mark.parametrize("kind", ["softmax", "regressor"])
def test_pipeline(tmp_path: Path, kind: str) -> None:
    pipeline(kind).save_pretrained(str(tmp_path / "pipeline"))
    folder = export(tmp_path / "pipeline", tmp_path)
    found = front(folder)
    text = (folder / "README.md").read_text(encoding="utf-8")
    if kind == "softmax":
        assert found["pipeline_tag"] == "text-classification"
        assert "| head | softmax: cat, dog, ünïcorn |" in text
    else:
        assert "pipeline_tag" not in found
        assert "| head | identity: 2 outputs |" in text
    assert '(logits,) = session.run(["logits"], inputs)' in text
    assert "transformers.js" not in found["tags"]
    assert "StaticClassifier.load" in text
    assert "## Transformers.js" not in text


@pytest.mark.slow
def test_python_in_the_card_runs_as_it_stands(hub: LocalHub, tmp_path: Path) -> None:
    """Each block by itself, with owner/name on the local Hub; sentence-transformers is not installed here."""
    artifact = export(BUNDLED, tmp_path)
    hub.add_folder("owner/name", artifact)
    expected = StaticEmbedder.load(artifact).encode(["a text", "another text"])
    blocks = re.findall(r"```python\n(.*?)```", (artifact / "README.md").read_text(), flags=re.DOTALL)
    runnable = [block for block in blocks if "sentence_transformers" not in block]
    assert (len(blocks), len(runnable)) == (4, 3)
    for index, block in enumerate(runnable):
        folder = tmp_path / f"cwd{index}"
        folder.mkdir()
        program = block + "import numpy; numpy.save('vectors.npy', numpy.array(vectors))\n"
        environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(folder / "hf")}
        subprocess.run([sys.executable, "-c", program], cwd=folder, env=environment, check=True)
        np.testing.assert_allclose(np.load(folder / "vectors.npy"), expected, rtol=0, atol=1e-6)


def test_card_is_left_out_of_the_hashes(tiny: Path) -> None:
    (tiny / "README.md").write_text("My own words.")
    verify(tiny)
    (tiny / "README.md").unlink()
    verify(tiny)


def test_card_of_the_source_that_cannot_be_read(tmp_path: Path) -> None:
    for text in (b"\xff\xfe", b"---\n- a list\n---\n", b"---\n{: [\n---\n"):
        (tmp_path / "README.md").write_bytes(text)
        assert read_front_matter(tmp_path, Source("model", None, None, {})) == {}
