"""The compiled vocabulary: words one by one and together, texts with added tokens, and what it imports."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

import matrix
import texts
import tiny_models
from command_line import RunPortvec
from corpus import paragraphs
from damage import edit
from portvec import StaticEmbedder
from portvec._tokenization.compiled import CompiledLearner
from portvec._vocabulary.file import read_vocabulary
from portvec_export import export_model
from portvec_export._vocabulary.compile import compile_vocabulary
from portvec_export._vocabulary.errors import NotCompilable

KINDS: dict[str, Callable[[], Tokenizer]] = {
    "WordPiece": lambda: tiny_models.tokenizer("wordpiece"),
    "Unigram": matrix.unigram_sentencepiece,
    "Unigram, WhitespaceSplit": matrix.unigram_xlmr,
    "Unigram, NFKC": lambda: tiny_models.tokenizer("unigram"),
    "BPE": matrix.bpe_byte_level,
    "BPE, bytes": matrix.bpe_sentencepiece,
    "WordLevel": lambda: tiny_models.tokenizer("wordlevel"),
}


class Case:
    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.learner = CompiledLearner(read_vocabulary(compile_vocabulary(tokenizer, []), "vocabulary"))

    def expected(self, batch: list[str]) -> list[list[int]]:
        return [self._tokenizer.encode(text, add_special_tokens=False).ids for text in batch]


@pytest.fixture(scope="module", params=KINDS)
def case(request: pytest.FixtureRequest) -> Case:
    return Case(KINDS[request.param]())


# Words of which a character may change because of what stands beside it; words that may depend on others.
ASKED = [
    "e\u0301",
    "\u0301",
    "한\u1100\u1161",
    "ﷺ",
    "\u0600a",
    "a\u200d",
    "\u1e9b\u0323",
    "가\u11a8",
    "\U000110bd",
]
DOUBTFUL = ["\x85", "a\t", "a\u3000", "\u200b", "\ufeff", "\x1f", "▁", "a▁", "\u2028b", "b\u2028"]
PLAIN = ["the", "value", "unbelievable", "日本語", "naïve", "it's", "x" * 300, "Straße", "12,345", "!"]


def test_words_alone_and_together(case: Case) -> None:
    """The ids are those in any text, or the word is said to depend on its neighbours."""
    rules = case.learner.rules
    words = [
        space + word for word in [*PLAIN, *ASKED, *DOUBTFUL] for space in dict.fromkeys(["", rules.space])
    ]
    tokens, is_alone = case.learner.learn(words)
    known = {word: ids for word, ids, alone in zip(words, tokens.lists(), is_alone, strict=True) if alone}
    assert {rules.space + word for word in PLAIN} <= known.keys()
    assert list(known.values()) == case.expected(list(known))
    for word in words:
        found = case.learner.find_ids(word)
        assert (None if found is None else list(found)) == known.get(word), ascii(word)
    if rules.space:
        for word in known:
            others = [f"the{word} value", f"{word} value", f"the{word}"]
            if word.startswith(" "):
                the, value = case.expected(["the"])[0], case.learner.find_ids(" value")
                assert value is not None
                assert case.expected([others[0]])[0] == [*the, *known[word], *value], ascii(word)


def test_texts_that_are_not_cut(case: Case) -> None:
    batch = [*paragraphs(50), *texts.scripts(), *texts.ADVERSARIAL, *ASKED, *DOUBTFUL, "[UNK] <s>the <unk>"]
    assert case.learner.encode(batch).lists() == case.expected(batch)
    for text in batch[-40:]:
        assert case.learner.encode([text]).lists() == case.expected([text])


def test_nothing(case: Case) -> None:
    assert case.learner.encode([]).lists() == []
    assert case.learner.encode(["", ""]).lists() == case.expected(["", ""])
    tokens, is_alone = case.learner.learn([])
    assert (tokens.lists(), is_alone.tolist()) == ([], [])


IMPORTS = """
import sys
from portvec import StaticEmbedder

def imported():
    return [name for name in ("tokenizers", "onnxruntime", "nanotoken") if name in sys.modules]

embedder = StaticEmbedder.load(sys.argv[1], tokenizer=sys.argv[2])
print("loaded", *imported())
embedder.encode("the value of a function")
embedder.tokenize(["the value of a function", "it's a value, and a good one!"])
print("one", *imported())
embedder.encode(["the value of a function", "it's a value"] * 1000)
print("many", *imported())
embedder.tokenize([sys.argv[3]])
print("added", *imported())
"""


@pytest.mark.parametrize("kind", KINDS)
def test_tokenizers_is_imported_when_a_text_needs_it(kind: str, tmp_path: Path) -> None:
    tokenizer = KINDS[kind]()
    added = next(iter(tokenizer.get_added_tokens_decoder().values()), None)
    model = tiny_models.save(tmp_path / "model", tokenizer=tokenizer)
    artifact = export_model(model, tmp_path / "artifact")
    text = f"the {added.content if added else 'value'} of"
    result = subprocess.run(
        [sys.executable, "-c", IMPORTS, artifact, "compiled", text],
        capture_output=True,
        text=True,
        check=True,
    )
    last = "added tokenizers onnxruntime" if added else "added onnxruntime"
    assert result.stdout.splitlines() == ["loaded", "one", "many onnxruntime", last]


def test_tokenizers_is_not_imported_for_nanotoken(tiny: Path) -> None:
    pytest.importorskip("nanotoken")
    result = subprocess.run(
        [sys.executable, "-c", IMPORTS, tiny, "auto", "a [UNK]"], capture_output=True, text=True, check=True
    )
    lines = ["loaded", "one", "many onnxruntime nanotoken", "added onnxruntime nanotoken"]
    assert result.stdout.splitlines() == lines


@pytest.mark.parametrize("choice", ["compiled", "tokenizers"])
def test_caches_of_any_size_change_no_ids(tiny: Path, choice: str) -> None:
    batch = [*paragraphs(200), *texts.scripts(), *texts.ADVERSARIAL]
    expected = StaticEmbedder.load(tiny, tokenizer="tokenizers").tokenize(batch).lists()
    for size in (0, 1, 30, 1000, None):
        embedder = StaticEmbedder.load(tiny, tokenizer=choice, tokenizer_cache=size)
        for _ in range(2):
            assert embedder.tokenize(batch).lists() == expected
            assert [embedder.tokenize([text]).lists()[0] for text in batch[::5]] == expected[::5]


@pytest.mark.parametrize(("size", "keeps"), [(0, False), (100_000, True), (None, True)])
def test_no_cache_keeps_nothing(
    tiny: Path, size: int | None, keeps: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    learn, find_ids = CompiledLearner.learn, CompiledLearner.find_ids

    def watch_many(self: CompiledLearner, words: list[str]) -> object:
        seen.extend(words)
        return learn(self, words)

    def watch_one(self: CompiledLearner, word: str) -> object:
        seen.append(word)
        return find_ids(self, word)

    monkeypatch.setattr(CompiledLearner, "learn", watch_many)
    monkeypatch.setattr(CompiledLearner, "find_ids", watch_one)
    embedder = StaticEmbedder.load(tiny, tokenizer="compiled", tokenizer_cache=size)
    for batch in (["the value of a function"], ["the value of a function"] * 30):
        embedder.tokenize(batch)
        first = sorted(seen)
        assert first == ["a", "function", "of", "the", "value"]
        seen.clear()
        embedder.tokenize(batch)
        assert sorted(seen) == ([] if keeps else first)
        seen.clear()


def test_vocabulary_that_a_runtime_would_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = tiny_models.tokenizer("wordpiece")
    size = len(compile_vocabulary(tokenizer, []))
    monkeypatch.setattr("portvec_export._vocabulary.compile.JSON_LIMIT", size)
    compile_vocabulary(tokenizer, [])
    monkeypatch.setattr("portvec_export._vocabulary.compile.JSON_LIMIT", size - 1)
    message = f"^it would have {size:,} bytes, more than {size - 1:,}$"
    with pytest.raises(NotCompilable, match=message):
        compile_vocabulary(tokenizer, [])


class TestInfo:
    def line(self, portvec: RunPortvec, tokenizer: Tokenizer, folder: Path) -> str:
        model = tiny_models.save(folder / "model", tokenizer=tokenizer)
        result = portvec("info", export_model(model, folder / "artifact"))
        assert (result.returncode, result.stderr) == (0, "")
        return next(line for line in result.stdout.splitlines() if line.startswith("tokenizer "))

    def test_compiled(self, portvec: RunPortvec, tmp_path: Path) -> None:
        line = self.line(portvec, matrix.unigram_sentencepiece(), tmp_path)
        assert line == "tokenizer      Unigram, by the compiled vocabulary"

    def test_not_compiled(self, portvec: RunPortvec, tmp_path: Path) -> None:
        tokenizer = Tokenizer(
            models.BPE({"a": 0, "b": 1, "ab": 2, "<unk>": 3}, [("a", "b")], unk_token="<unk>")
        )
        tokenizer.normalizer = normalizers.NFD()
        tokenizer.pre_tokenizer = pre_tokenizers.UnicodeScripts()
        reason = "no rule is proven for cutting texts under its normalizer and pre-tokenizer"
        line = self.line(portvec, tokenizer, tmp_path)
        assert line == f"tokenizer      BPE, by tokenizers (not compiled: {reason})"

    def test_words_cached_over_tokenizers(self, portvec: RunPortvec, uncompiled: Path) -> None:
        facts = {"model": "BPE", "not_compiled": "its BPE has dropout"}
        edit(uncompiled, lambda manifest: manifest.update(tokenizer=facts))
        line = "tokenizer      BPE, by tokenizers, caching words (not compiled: its BPE has dropout)"
        assert line in portvec("info", uncompiled).stdout.splitlines()
