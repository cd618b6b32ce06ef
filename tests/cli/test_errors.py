"""Errors of the command line: one line, and an exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_line import RunPortvec


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["export", "./nowhere", "-o", "out"],
            1,
            "./nowhere: no such folder; expected an existing model folder",
        ),
        (["export", "MODEL"], 2, "Missing option '-o' / '--output'; see 'portvec export --help'"),
        (
            ["export", "MODEL", "-o", "ARTIFACT"],
            1,
            "exists and is not empty; choose another output, or pass",
        ),
        (
            ["export", "MODEL", "-o", "out", "--dtype", "int3"],
            2,
            "'int3' is not one of 'float32', 'float16', 'int8', 'int4'; see 'portvec export --help'",
        ),
        (["export", "MODEL", "-o", "out", "--dim", "0"], 2, "0 is not in the range x>=1"),
        (
            ["export", "MODEL", "-o", "out", "--dim", "999"],
            1,
            "dim 999 was asked for, but the model has 24",
        ),
        (
            ["export", "MODEL", "-o", "out", "--max-length", "x"],
            2,
            "neither a whole number of 1 or more nor 'none'",
        ),
        (["export", ".", "-o", "out"], 1, "not a Model2Vec model, which has model.safetensors"),
        (
            ["verify", "nowhere"],
            1,
            "nowhere: no such folder; expected an existing model folder or a Hub id owner/name",
        ),
        (
            ["info", "MODEL"],
            1,
            "tiny-model: a Model2Vec model that is not converted yet; run 'portvec export ",
        ),
        (
            ["embed", "nowhere", "x"],
            1,
            "nowhere: no such folder; expected an existing model folder or a Hub id",
        ),
        (
            ["embed", "ARTIFACT", "x", "-i", "f"],
            2,
            "give texts as arguments or with -i, not both, and a pattern",
        ),
        (["search", "ARTIFACT", "-k", "0", "q"], 2, "0 is not in the range x>=1"),
        (["frobnicate"], 2, "No such command 'frobnicate'; see 'portvec --help'"),
    ],
)
def test_one_line_and_exit_code(
    portvec: RunPortvec,
    tiny: Path,
    tiny_model: Path,
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    paths = {"MODEL": tiny_model, "ARTIFACT": tiny}
    result = portvec(*(paths.get(argument, argument) for argument in arguments))
    assert result.returncode == code
    assert result.stdout == ""
    assert result.stderr.startswith("portvec: error: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_missing_file_of_an_artifact(portvec: RunPortvec, tiny: Path) -> None:
    (tiny / "onnx" / "model.onnx_data").unlink()
    for command in (["verify", tiny], ["info", tiny], ["embed", tiny, "x"]):
        result = portvec(*command)
        assert result.returncode == 1
        assert "model.onnx_data: missing, but listed in portvec.json" in result.stderr
        assert result.stderr.count("\n") == 1
