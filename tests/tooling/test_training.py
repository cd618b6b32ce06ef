"""models/training: the texts that the bundled model is trained with, and how it is measured."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from project import BUNDLED
from training import evaluation, texts
from training.evaluation import Evaluation, embed_with, spearman
from training.sources import MANUALS, WORDNET
from training.texts import Pair, read_corpus

# Two synsets in WordNet's format, the second with examples.
SYNSETS = {
    "noun": (
        "  1 This software and database is being provided to you\n"
        "02084071 05 n 02 dog 0 domestic_dog 0 001 @ 02083346 n 0000 | a member of the genus Canis  \n"
    ),
    "verb": '01926311 38 v 01 run 0 001 @ 01835496 v 0000 | move fast; "Don\'t run"; "ran home"  \n',
    "adj": "00003356 00 s 01 last(a) 0 000 | coming after all others  \n",
    "adv": "",
}
PAGE = """<html><head><p>x</p></head><h1>Title of the page</h1>
<p>The <code>first</code> sentence has &lt;five&gt; words
here. The second sentence has as many words. And a third.</p>
<pre>code = 1</pre><ul><li>One item with rather few words. Short.</li></ul>
<p>No second sentence here at all</p>"""


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Unpacked packages, with one page for each manual."""
    wordnet = tmp_path / WORDNET / "usr/share/wordnet"
    wordnet.mkdir(parents=True)
    for part, content in SYNSETS.items():
        (wordnet / f"data.{part}").write_text(content)
    whole = "".join(SYNSETS[part] for part in sorted(SYNSETS))
    monkeypatch.setattr(texts, "_WORDNET_SHA256", hashlib.sha256(whole.encode()).hexdigest())
    monkeypatch.setattr(texts, "_HELD_OUT", 1)
    for number, (name, pages) in enumerate(MANUALS.items()):
        folder = tmp_path / name / pages
        folder.mkdir(parents=True)
        (folder / "page.html").write_text(PAGE.replace("as many", f"exactly {number}") if number else PAGE)
    return tmp_path


def test_wordnet_gives_words_and_examples_with_their_glosses(packages: Path) -> None:
    pairs = [pair for pair in read_corpus(packages).pairs if pair.kind in ("words", "example")]
    assert sorted(pairs) == [
        Pair("example", "move fast", "Don't run"),
        Pair("example", "move fast", "ran home"),
        Pair("words", "dog, domestic dog", "a member of the genus Canis"),
        Pair("words", "last", "coming after all others"),
        Pair("words", "run", "move fast"),
    ]


def test_another_wordnet_is_refused(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "_WORDNET_SHA256", "0")
    with pytest.raises(SystemExit, match=r"not WordNet 3\.0 as Debian packages it; use Debian 12$"):
        read_corpus(packages)


def test_manuals_give_first_sentences_with_the_rest_of_their_paragraphs(packages: Path) -> None:
    corpus = read_corpus(packages)
    manuals = [pair for pair in corpus.pairs if pair.kind in MANUALS]
    assert len(corpus.held_out) == 1
    assert len(manuals) == len(MANUALS) - 1
    assert not {*manuals} & {*corpus.held_out}
    assert {pair.first for pair in [*manuals, *corpus.held_out]} == {
        "The first sentence has <five> words here."
    }
    assert all(pair.second.endswith("words. And a third.") for pair in manuals)


def test_the_same_texts_in_each_run(packages: Path) -> None:
    first, second = read_corpus(packages), read_corpus(packages)
    assert first == second
    assert first.list_texts() == second.list_texts()
    assert sorted(first.list_texts()) == sorted({text for pair in first.pairs for text in pair[1:]})


def test_a_warning_if_the_bundled_model_has_seen_held_out_texts(
    packages: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = read_corpus(packages)
    corpus.warn_of_bundled()
    assert "it has seen some paragraphs that are held out now" in capsys.readouterr().out
    monkeypatch.setattr(texts, "_BUNDLED_SHA256", corpus.sha256)
    corpus.warn_of_bundled()
    assert capsys.readouterr().out == ""


def test_spearman() -> None:
    assert spearman([1, 2, 3, 4], [10, 20, 30, 40]) == pytest.approx(1)
    assert spearman([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1)
    # By hand: the ranks 1.5, 1.5, 3 and 1, 2, 3 have the correlation sqrt(3) / 2.
    assert spearman([7, 7, 9], [1, 2, 3]) == pytest.approx(3**0.5 / 2)


def test_scores_of_an_embedding_that_tells_texts_apart_by_their_first_letter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = {
        "stsb-en-dev.csv": "a b,a c,5\na b,z c,0\n",
        "stsb-en-test.csv": '"a b, c",z c,5\na b,a c,0\n',
        "banking-train.csv": "text,category\na b,x\nz b,y\n",
        "banking-test.csv": "text,category\na,x\nz,y\nz,x\na,x\n",
    }
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    sums = {
        name: ("http://127.0.0.1:9/", hashlib.sha256(text.encode()).hexdigest())
        for name, text in content.items()
    }
    monkeypatch.setattr(evaluation, "_FILES", sums)

    def embed(texts: object) -> evaluation.Rows:
        assert isinstance(texts, list)
        return np.array([[1, 0] if text.startswith("a") else [0, 1] for text in texts], np.float32)

    held_out = [Pair("m", "a", "a b"), Pair("m", "z", "a c"), Pair("m", "z", "z c")]
    scores = Evaluation.open(tmp_path, held_out).score(embed)
    assert scores == pytest.approx(
        {"STS-B dev": 100, "STS-B test": -100, "Banking77 1-NN": 75, "R@1": 200 / 3, "R@10": 100}
    )


def test_without_a_network_retrieval_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(evaluation, "_FILES", {"a.csv": ("http://127.0.0.1:9/a.csv", "0")})
    found = Evaluation.open(tmp_path / "evaluation", [Pair("m", "a", "b")])
    assert found.score(lambda texts: np.ones((len(texts), 2), np.float32)) == {"R@1": 100, "R@10": 100}
    assert "cannot be fetched" in (printed := capsys.readouterr().out)
    assert f"put a.csv into {tmp_path / 'evaluation'}" in printed


def test_means_are_model2vecs(reference: object) -> None:
    from model2vec import StaticModel

    assert isinstance(reference, StaticModel)
    tokenizer = Tokenizer.from_file(str(BUNDLED / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    embed = embed_with(reference.embedding.astype(np.float32), tokenizer)
    sample = ["A dog runs home.", "", "\u2603", "several words, and \u2603 one unknown"]
    np.testing.assert_allclose(embed(sample), reference.encode(sample), rtol=0, atol=1e-6)
