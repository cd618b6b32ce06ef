"""The catalogue of known models: its facts agree with each other, and models/README.md has them."""

from __future__ import annotations

import re
from dataclasses import asdict

import pytest

import known_models_page
from portvec import KnownModel, known_models
from portvec._hub.ids import parse_hub_id
from portvec._known_models import SOURCES

MODELS = known_models()
PAGE = known_models_page.PAGE.read_text(encoding="utf-8")


def test_the_page_has_what_the_catalogue_has() -> None:
    assert known_models_page.update(PAGE) == PAGE, "run python tests/tools/known_models_page.py"


def test_what_differs_on_the_page_is_replaced() -> None:
    changed = re.sub(r"(?<=potion-base-2M` \| )1\.89M", "2M", PAGE).replace("[2] MinishLab", "[2] Somebody")
    assert len({*changed.splitlines()} - {*PAGE.splitlines()}) == 2
    assert known_models_page.update(changed) == PAGE


@pytest.mark.parametrize("missing", ["## Known models", "Sources: "])
def test_a_page_without_its_places_is_refused(missing: str) -> None:
    with pytest.raises(AssertionError, match=r"^README\.md has [01] tables .*, and [01] lists of sources$"):
        known_models_page.update(PAGE.replace(missing, "Other"))


def test_each_call_returns_a_list_of_its_own() -> None:
    known_models().clear()
    assert known_models() == MODELS
    assert len({*MODELS}) == len({model.id for model in MODELS}) == 15


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_facts_agree_and_have_sources(model: KnownModel) -> None:
    assert parse_hub_id(model.id).name == model.id
    if model.rows is not None:
        assert model.parameters == model.rows * model.dim
    else:
        assert "parameters" in model.sources
    known = {name for name, value in asdict(model).items() if value is not None}
    assert model.sources.keys() <= known
    stated = {"dim", "rows", "tokenizer", "languages", "license", "restrictions"}
    assert known & stated <= model.sources.keys()
    cited = {source for sources in model.sources.values() for source in sources}
    assert cited | {score.source for score in model.scores} <= {*SOURCES}


def test_scores_are_of_benchmarks_that_the_documentation_explains() -> None:
    scores = [score for model in MODELS for score in model.scores]
    for score in scores:
        assert f'"{score.benchmark}"' in (KnownModel.__doc__ or "")
        assert (score.value > 1) == ("MTEB" in score.benchmark)
    # Every source is cited, or it would not have a number on the page.
    cited = {score.source for score in scores} | {
        source for model in MODELS for sources in model.sources.values() for source in sources
    }
    assert cited == {*SOURCES}
