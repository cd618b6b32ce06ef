"""Which tokenizer implementation is used, and that each gives the ids of `tokenizers`."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tokenizers import Tokenizer

import texts
from corpus import paragraphs
from matrix import CASES, Case
from portvec import StaticEmbedder, _encoders, _selection
from portvec._encoders import ChunkEncoder, NanotokenEncoder, PlainEncoder, splits_at_spaces
from portvec._tokens import TokenIds
from portvec.errors import ArtifactError, MissingExtraError
from portvec_export import export_model


def plain_ids(path: Path, batch: list[str]) -> list[list[int]]:
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(batch, add_special_tokens=False)]


@pytest.fixture(scope="module", params=CASES[:8], ids=lambda case: case.name)
def tokenizer_json(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    source: Path = request.param.build(tmp_path_factory.mktemp("case"))
    return source / "tokenizer.json"


SEPARATED = ["a\U0010fffeb", "\U0010fffe", "plain \U0010fffe\U0010fffe text"]


def test_joining_texts_changes_nothing(tokenizer_json: Path) -> None:
    encoder = PlainEncoder(tokenizer_json)
    for batch in ([*paragraphs(500), *texts.scripts(), *texts.ADVERSARIAL], SEPARATED, [""], []):
        assert encoder.encode(batch).lists() == plain_ids(tokenizer_json, batch)


@pytest.mark.parametrize("case", CASES[:3], ids=lambda case: case.name)
def test_caching_words_changes_nothing(case: Case, tmp_path: Path) -> None:
    path = case.build(tmp_path / "model") / "tokenizer.json"
    encoder = ChunkEncoder(PlainEncoder(path))
    batch = [*paragraphs(1000), *texts.scripts(), *texts.ADVERSARIAL, *SEPARATED, "  two  spaces ", " "]
    expected = plain_ids(path, batch)
    for _ in range(2):  # cold and warm
        assert encoder.encode(batch).lists() == expected


def test_which_tokenizers_split_at_spaces(tmp_path: Path) -> None:
    found = {}
    for index, case in enumerate(CASES[:8]):
        path = case.build(tmp_path / str(index)) / "tokenizer.json"
        found[case.name] = splits_at_spaces(json.loads(path.read_text(encoding="utf-8")))
    assert [name for name, splits in found.items() if splits] == [
        "WordPiece, uncased",
        "WordPiece, cased",
        "WordPiece, stored padding, truncation, template",
    ]


def test_cache_is_bounded(bundled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_encoders, "_CACHE_CHUNKS", 1000)
    encoder = ChunkEncoder(PlainEncoder(bundled / "tokenizer.json"))
    batches = [paragraphs(3000)[start : start + 50] for start in range(0, 3000, 50)]
    for batch in batches:
        assert encoder.encode(batch).lists() == plain_ids(bundled / "tokenizer.json", batch)
        assert len(encoder._cache.index) < 1000 + 1500  # what one batch may add


def test_cache_under_sixteen_threads(bundled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_encoders, "_CACHE_CHUNKS", 2000)
    encoder = ChunkEncoder(PlainEncoder(bundled / "tokenizer.json"))
    batches = [paragraphs(2000)[start : start + 20] for start in range(0, 2000, 20)] * 3
    with ThreadPoolExecutor(16) as executor:
        results = list(executor.map(encoder.encode, batches))
    for batch, got in zip(batches, results, strict=True):
        assert got.lists() == plain_ids(bundled / "tokenizer.json", batch)


class TestChoice:
    def test_auto_takes_nanotoken_for_wordpiece(self, bundled: Path) -> None:
        assert StaticEmbedder.load(bundled).tokenizer == "nanotoken"
        assert StaticEmbedder.load(bundled, tokenizer="tokenizers").tokenizer == "tokenizers, caching words"

    def test_other_models_run_on_tokenizers(self, tmp_path: Path) -> None:
        source = next(case for case in CASES if case.name.startswith("Unigram")).build(tmp_path / "model")
        artifact = export_model(source, tmp_path / "artifact")
        assert StaticEmbedder.load(artifact).tokenizer == "tokenizers"
        with pytest.raises(ArtifactError, match="nanotoken does not give this model's token ids; use 'auto'"):
            StaticEmbedder.load(artifact, tokenizer="nanotoken")

    def test_without_the_extra(self, bundled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_selection, "find_spec", lambda _: None)
        assert StaticEmbedder.load(bundled).tokenizer == "tokenizers, caching words"
        with pytest.raises(MissingExtraError, match=r"not installed; run pip install 'portvec\[fast\]'"):
            StaticEmbedder.load(bundled, tokenizer="nanotoken")

    def test_wrong_ids_are_not_used_and_it_says_so(
        self, bundled: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        right = NanotokenEncoder.encode

        def wrong(self: NanotokenEncoder, batch: Sequence[str]) -> TokenIds:
            found = right(self, batch)
            return TokenIds(found.ids + (found.ids == 5), found.offsets)

        monkeypatch.setattr(NanotokenEncoder, "encode", wrong)
        with caplog.at_level(logging.WARNING, "portvec"):
            assert StaticEmbedder.load(bundled).tokenizer == "tokenizers, caching words"
        assert "nanotoken is not used, its ids differ from the recorded ones" in caplog.text

    def test_broken_installation_is_not_used(self, bundled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "nanotoken", None)
        monkeypatch.setattr(_selection, "find_spec", lambda _: object())
        assert StaticEmbedder.load(bundled).tokenizer == "tokenizers, caching words"
