"""`portvec models`: the catalogue as a table and as JSON."""

from __future__ import annotations

import json
import re

from command_line import RunPortvec
from portvec import known_models


def test_the_table_has_a_line_for_each_model(portvec: RunPortvec) -> None:
    header, *lines = portvec("models").stdout.splitlines()
    rows = [re.split(r" {2,}", line) for line in lines]
    assert header.split() == ["model", "dim", "MB", "languages", "licence", "scores"]
    assert [row[0] for row in rows] == [model.id for model in known_models()]
    scores = "MTEB 51.08, MTEB (2024) 50.03, NanoBEIR 0.442"
    assert ["minishlab/potion-base-8M", "256", "30.2", "English", "MIT", scores] in rows
    assert ["minishlab/potion-science-32M", "256", "127.4", "not verified", "MIT", "none found"] in rows
    assert {line.index(row[-1]) for line, row in zip(lines, rows, strict=True)} == {header.index("scores")}


def test_restricted_training_data_is_marked_and_explained(portvec: RunPortvec) -> None:
    result = portvec("models")
    marked = [line.split()[0] for line in result.stdout.splitlines() if " * " in line]
    assert marked == [model.id for model in known_models() if model.restrictions]
    assert marked
    assert (
        result.stderr
        == "* its training data has terms of its own: see 'restrictions' in portvec models --json\n"
    )
    assert portvec("models", "-q").stderr == ""


def test_json_has_every_fact_with_its_sources(portvec: RunPortvec) -> None:
    result = portvec("models", "--json")
    assert result.stderr == ""
    printed = {model["id"]: model for model in json.loads(result.stdout)}
    assert [*printed] == [model.id for model in known_models()]
    model = printed["minishlab/potion-retrieval-32M"]
    assert (model["dim"], model["rows"], model["float32_mb"]) == (512, 63091, 129.210368)
    assert model["restrictions"] == "fine-tuned on MS MARCO, whose terms allow only non-commercial use"
    (score,) = model["scores"]
    assert (score["benchmark"], score["value"]) == ("MTEB retrieval", 35.06)
    assert score["source"].startswith("MinishLab/model2vec results/README.md")
    assert len(model["sources"]["rows"]) == 2
    assert printed["minishlab/M2V_base_output"]["tokenizer"] is None
