"""Which tokenizer implementation is used, and that each gives the ids of `tokenizers`."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, pre_tokenizers

import texts
from corpus import paragraphs
from counting_encoder import CountingEncoder
from matrix import TOKENIZER_CASES, unigram_sentencepiece
from portvec import StaticEmbedder
from portvec._tokenization.backends.huggingface import PlainEncoder
from portvec._tokenization.learning import LibraryLearner
from portvec._tokenization.library import describe_parts
from portvec._tokenization.proven_cuts import find_cutting_rules
from portvec._tokenization.word_cache import WordEncoder
from portvec._vocabulary.word_table import WordTable
from portvec.errors import ArtifactError, MissingExtraError
from portvec_export import export_model
from project import FUZZ


def plain_ids(path: Path, batch: list[str]) -> list[list[int]]:
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(batch, add_special_tokens=False)]


@pytest.fixture(scope="module", params=TOKENIZER_CASES, ids=lambda case: case.name)
def tokenizer_json(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    source: Path = request.param.build(tmp_path_factory.mktemp("case"))
    return source / "tokenizer.json"


SEPARATED = ["a\U0010fffeb", "\U0010fffe", "plain \U0010fffe\U0010fffe text"]


def test_joining_texts_changes_nothing(tokenizer_json: Path) -> None:
    encoder = PlainEncoder(tokenizer_json)
    for batch in ([*paragraphs(500), *texts.scripts(), *texts.ADVERSARIAL], SEPARATED, [""], []):
        assert encoder.encode(batch).lists() == plain_ids(tokenizer_json, batch)


def word_encoder(path: Path, plain: PlainEncoder | None = None, **options: Any) -> WordEncoder:
    plain = plain or PlainEncoder(path)
    rules = find_cutting_rules(describe_parts(plain.tokenizer))
    assert rules is not None
    return WordEncoder("caching words", LibraryLearner(plain, rules), rules, **options)


def small_table(path: Path) -> Callable[[], WordTable]:
    """Return a maker of tables with room for the words that are known from the start and 600 further ids."""
    plain = PlainEncoder(path)
    rules = find_cutting_rules(describe_parts(plain.tokenizer))
    assert rules is not None
    return partial(WordTable, ids=len(LibraryLearner(plain, rules).list_known_words()[0]) + 600)


NOT_SPLIT = ("WordPiece, added tokens of several words",)
SPLIT = [case for case in TOKENIZER_CASES if case.name not in NOT_SPLIT]


@pytest.fixture(scope="module", params=SPLIT, ids=lambda case: case.name)
def split_json(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    source: Path = request.param.build(tmp_path_factory.mktemp("split"))
    return source / "tokenizer.json"


# White space, what turns into some or joins with it, punctuation, added tokens and parts of them.
JOINTS = [
    *"aaabX9 ,.!'\n\t\r\0\1\x0b\x0c\x1c\x85\xa0éя日ﬁ…½",
    *[
        "  ",
        "   ",
        "\r\n",
        "\u3000",
        "\u2003",
        "\u200b",
        "\u200d",
        "\ufeff",
        "\u0301",
        "\u0345",
        "\u0600",
        "\u06dd",
    ],
    *[
        "\U000110bd",
        "\u00b4",
        "\ufc5e",
        "\ufe70",
        "\u2581",
        "\u1680",
        "\u2028",
        "\u0338",
        "\u037e",
        "\U0001f468",
    ],
    *["<s>", "<unk>", "[UNK]", "[PAD]", "[", "<|endoftext|>", "\ufffd", "\U0010fffe", "'s", " '"],
]


class TestCachingWords:
    def test_changes_nothing_on_text(self, split_json: Path) -> None:
        encoder = word_encoder(split_json)
        batch = [*paragraphs(1000), *texts.scripts(), *texts.ADVERSARIAL, *SEPARATED, "  two  spaces ", " "]
        expected = plain_ids(split_json, batch)
        for _ in range(2):  # cold and warm
            assert encoder.encode(batch).lists() == expected

    @pytest.mark.fuzz
    def test_changes_nothing_at_any_joint(self, split_json: Path) -> None:
        encoder = word_encoder(split_json, min_bytes=0, max_unknown=2)
        rng = random.Random(4)
        for _ in range(10 * FUZZ):
            batch = ["".join(rng.choices(JOINTS, k=rng.randint(0, 40))) for _ in range(200)]
            assert encoder.encode(batch).lists() == plain_ids(split_json, batch)

    @pytest.mark.fuzz
    def test_changes_nothing_beside_any_character(self, split_json: Path) -> None:
        encoder = word_encoder(split_json, max_unknown=2)
        step = 1 if FUZZ > 1 else 61
        characters = [chr(code) for code in range(0, 0x33000, step) if not 0xD800 <= code < 0xE000]
        for start in range(0, len(characters), 2000):
            batch = [f"ab{c}cd {c} !{c}x{c}?{c} {c}" for c in characters[start : start + 2000]]
            assert encoder.encode(batch).lists() == plain_ids(split_json, batch)

    def test_finds_what_it_has_seen(self, split_json: Path) -> None:
        plain = CountingEncoder(split_json)
        encoder = word_encoder(split_json, plain)
        batch = [
            f"{paragraph.split()[0][:12]} one two {number % 50}"
            for number, paragraph in enumerate(paragraphs(900))
        ]
        expected = plain_ids(split_json, batch)
        assert encoder.encode(batch).lists() == expected
        assert plain.seen
        plain.seen.clear()
        assert encoder.encode(batch).lists() == expected
        assert plain.seen == []

    def test_texts_are_tokenized_whole_where_words_are_new(self, bundled: Path) -> None:
        path = bundled / "tokenizer.json"
        plain = CountingEncoder(path)
        rng = random.Random(5)
        words = [f"{rng.getrandbits(64):x}" for _ in range(1000)]
        batch = [" ".join(words[start : start + 20]) for start in range(0, 1000, 20)]
        assert word_encoder(path, plain).encode(batch).lists() == plain_ids(path, batch)
        assert set(batch) <= set(plain.seen)
        assert not set(words) & set(plain.seen)

    def test_changes_nothing_where_tables_fill_up(self, bundled: Path) -> None:
        path = bundled / "tokenizer.json"
        make_small = small_table(path)
        tables: list[WordTable] = []

        def make_table() -> WordTable:
            tables.append(make_small())
            return tables[-1]

        encoder = word_encoder(path, make_table=make_table)
        for start in range(0, 1500, 50):
            batch = paragraphs(1500)[start : start + 50]
            assert encoder.encode(batch).lists() == plain_ids(path, batch)
        assert len(tables) > 2

    def test_under_sixteen_threads(self, bundled: Path) -> None:
        path = bundled / "tokenizer.json"
        encoder = word_encoder(path, make_table=small_table(path))
        batches = [paragraphs(600)[start : start + 20] for start in range(0, 600, 20)] * 2
        with ThreadPoolExecutor(16) as executor:
            results = list(executor.map(encoder.encode, batches))
        for batch, got in zip(batches, results, strict=True):
            assert got.lists() == plain_ids(path, batch)


def test_which_tokenizers_are_split(tmp_path: Path) -> None:
    found = {}
    for index, case in enumerate(TOKENIZER_CASES):
        path = case.build(tmp_path / str(index)) / "tokenizer.json"
        found[case.name] = find_cutting_rules(describe_parts(Tokenizer.from_file(str(path)))) is not None
    assert [name for name, splits in found.items() if not splits] == [*NOT_SPLIT]


def test_a_prefix_at_the_very_start_only(tmp_path: Path) -> None:
    tokenizer = unigram_sentencepiece()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    path = tmp_path / "tokenizer.json"
    tokenizer.save(str(path))
    encoder = PlainEncoder(path)
    for each in (encoder, word_encoder(path, min_bytes=0, max_unknown=2)):
        assert each.encode(paragraphs(300)).lists() == plain_ids(path, paragraphs(300))


class TestChoice:
    """With the real nanotoken, or as if it were missing. test_choosing_tokenizers.py has all the rules."""

    def test_auto_takes_nanotoken_for_wordpiece(self, bundled: Path) -> None:
        assert StaticEmbedder.load(bundled).tokenizer == "nanotoken"
        assert StaticEmbedder.load(bundled, tokenizer="tokenizers").tokenizer == "tokenizers, caching words"

    def test_other_models_run_on_the_compiled_vocabulary(self, tmp_path: Path) -> None:
        source = next(case for case in TOKENIZER_CASES if case.name.startswith("Unigram")).build(
            tmp_path / "model"
        )
        artifact = export_model(source, tmp_path / "artifact")
        assert StaticEmbedder.load(artifact).tokenizer == "compiled"
        with pytest.raises(ArtifactError, match="nanotoken does not give this model's token ids; use tok"):
            StaticEmbedder.load(artifact, tokenizer="nanotoken")

    def test_without_the_extra(self, bundled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "nanotoken", None)  # as if it were not installed
        assert StaticEmbedder.load(bundled).tokenizer == "compiled"
        with pytest.raises(MissingExtraError, match=r"not installed; run pip install 'portvec\[fast\]'"):
            StaticEmbedder.load(bundled, tokenizer="nanotoken")


THREADS = """
import os, sys, warnings
from pathlib import Path
from portvec import StaticEmbedder

texts = [f"text number {i} of many [UNK]" for i in range(3000)]
before = len(os.listdir("/proc/self/task"))
embedder = StaticEmbedder.load(sys.argv[1], threads=int(sys.argv[2]), tokenizer=sys.argv[3])
expected = embedder.encode(texts)
print(len(os.listdir("/proc/self/task")) - before)
child = os.fork()
if child == 0:
    os._exit(0 if (embedder.encode(texts) == expected).all() else 3)
assert os.waitpid(child, 0)[1] == 0
assert "TOKENIZERS_PARALLELISM" not in os.environ
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
class TestThreads:
    @pytest.mark.parametrize("choice", ["compiled", "tokenizers", "nanotoken"])
    def test_one_thread_starts_no_other(self, bundled: Path, choice: str) -> None:
        assert self.run(bundled, "1", choice) == ("0\n", "")

    @pytest.mark.parametrize("choice", ["compiled", "tokenizers", "nanotoken"])
    def test_no_warning_after_a_fork(self, bundled: Path, choice: str) -> None:
        assert self.run(bundled, "64", choice)[1] == ""

    def run(self, *arguments: object) -> tuple[str, str]:
        environment = {name: value for name, value in os.environ.items() if name != "TOKENIZERS_PARALLELISM"}
        result = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", THREADS, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
            env=environment,
        )
        return result.stdout, result.stderr
