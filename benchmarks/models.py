"""The models that are measured, made once into build/bench.

One is real: the bundled WordPiece model. The others have tokenizers trained on the same texts, and tables of
random float32 numbers: speed and memory do not depend on their values.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from model2vec import StaticModel
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from benchmarks import texts

ROOT = Path(__file__).parents[1]
BUNDLED = ROOT / "models" / "minilm-l6-v2-256"
FOLDER = ROOT / "build" / "bench" / ("corpora" if texts.CORPORA.is_dir() else "documentation")

DIM = 256
VOCABULARY = 30_000
HUGE_VOCABULARY = 500_000


def source(name: str) -> Path:
    """Return the folder of a Model2Vec model: wordpiece, unlimited, unigram, bpe or huge."""
    return _made(FOLDER / "models" / name, lambda folder: _BUILDERS[name]().save_pretrained(folder))


def artifact(name: str, dtype: str = "float32") -> Path:
    """Return the folder of an artifact of that model."""
    folder = FOLDER / "artifacts" / _exporter() / f"{name}-{dtype}"
    return _made(folder, lambda target: _run(*export_command(source(name), target, dtype)))


def text_artifact(name: str, dtype: str = "float32") -> Path:
    """Return the folder of an artifact of that model that has both graphs with text input."""
    command = ["--text-input", "strings", "--text-input", "codepoints"]
    folder = FOLDER / "artifacts" / _exporter() / f"{name}-{dtype}-text"
    return _made(folder, lambda target: _run(*export_command(source(name), target, dtype), *command))


def onnx_export(name: str) -> Path:
    """Return the folder of what model2vec's own exporter makes of that model."""
    return _made(FOLDER / "model2vec-onnx" / name, lambda target: _run(*onnx_command(source(name), target)))


def laghu(name: str) -> tuple[Path, Path]:
    """Return a folder of that model at which laghu is at its best, and the folder of its vocabulary file.

    laghu falls back to slow paths for a tokenizer.json that truncates or pads, and model2vec's own files do.
    This copy does neither: laghu cuts texts by itself. The first load of a Unigram model makes the vocabulary
    file, and later loads map it.
    """
    folder = _made(FOLDER / "laghu" / name, lambda target: _without_truncation(source(name), target))
    made = FOLDER / "laghu" / f"{name}-vocabulary"
    return folder, _made(made, lambda target: _run(*_laghu_command(folder, target)))


def export_command(folder: Path, target: Path, dtype: str = "float32") -> list[str]:
    """Return the command of portvec's exporter."""
    return [sys.executable, "-m", "portvec", "export", str(folder), "-o", str(target), "--dtype", dtype]


def onnx_command(folder: Path, target: Path) -> list[str]:
    """Return the command of model2vec's exporter, which has none of its own."""
    program = (
        "import sys; from model2vec import StaticModel; from model2vec.onnx import export_model_to_onnx; "
        "export_model_to_onnx(StaticModel.from_pretrained(sys.argv[1], force_download=False), sys.argv[2])"
    )
    return [sys.executable, "-c", program, str(folder), str(target)]


def _without_truncation(folder: Path, target: Path) -> None:
    target.mkdir()
    for name in ("config.json", "model.safetensors"):
        os.link(folder / name, target / name)
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer |= {"truncation": None, "padding": None}
    text = json.dumps(tokenizer, ensure_ascii=False)
    (target / "tokenizer.json").write_text(text, encoding="utf-8")


def _laghu_command(folder: Path, vocabulary: Path) -> list[str]:
    program = (
        "import os, sys; os.mkdir(sys.argv[2]); os.environ['LAGHU_CACHE'] = sys.argv[2]; "
        "from laghu import load; load(sys.argv[1], fallback=False)"
    )
    return [sys.executable, "-c", program, str(folder), str(vocabulary)]


@cache
def _exporter() -> str:
    """Return a name for the present exporter: another version may write different artifacts."""
    digest = hashlib.sha256()
    runtime = ROOT / "runtime" / "portvec"
    shared = [runtime / "_artifact" / name for name in ("format.py", "manifest.py")]
    shared += [*sorted((runtime / "_vocabulary").glob("*.py")), runtime / "_tokenization" / "proven_cuts.py"]
    for path in [*sorted((ROOT / "exporter").rglob("*.py")), *shared]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _made(folder: Path, make: Callable[[Path], object]) -> Path:
    """Return `folder`, made by `make` if it does not exist. It is complete, or it does not exist."""
    if not folder.exists():
        staging = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(staging, ignore_errors=True)  # left by an interrupted run
        staging.parent.mkdir(parents=True, exist_ok=True)
        make(staging)
        staging.rename(folder)
    return folder


def _bundled(**options: Any) -> StaticModel:
    # As float32: the model is stored as float16, in which fastembed and model2vec would compute.
    return StaticModel.from_pretrained(BUNDLED, quantize_to="float32", force_download=False, **options)


def _with_random_table(tokenizer: Tokenizer) -> StaticModel:
    rows = tokenizer.get_vocab_size()
    table = np.random.default_rng(0).standard_normal((rows, DIM), dtype=np.float32)
    return StaticModel(table, tokenizer, normalize=True)


def _training() -> Iterator[str]:
    yield from texts.paragraphs(20_000)
    yield from texts.languages(5_000)


def _unigram() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<s>", "<pad>", "<unk>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=VOCABULARY, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(_training(), trainer)
    return tokenizer


def _bpe() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_training(), trainer)
    return tokenizer


def _huge() -> Tokenizer:
    """Return a Unigram tokenizer with 500,000 pieces, as a multilingual model has; most are invented."""
    state = json.loads(Tokenizer.from_file(str(source("unigram") / "tokenizer.json")).to_str())
    vocabulary = state["model"]["vocab"]
    known = {piece for piece, _ in vocabulary}
    invented = ("▁" + "".join(parts) for parts in product(texts.SYLLABLES, repeat=3))
    for piece in invented:
        if len(vocabulary) == HUGE_VOCABULARY:
            break
        if piece not in known:
            vocabulary.append([piece, -20.0])
    return Tokenizer.from_str(json.dumps(state))


_BUILDERS: dict[str, Callable[[], StaticModel]] = {
    "wordpiece": _bundled,
    "unlimited": lambda: _bundled(max_length=None),
    "unigram": lambda: _with_random_table(_unigram()),
    "bpe": lambda: _with_random_table(_bpe()),
    "huge": lambda: _with_random_table(_huge()),
}
