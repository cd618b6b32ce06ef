"""The options of an export: declared once, offered as keyword arguments, refused where they make no sense."""

from __future__ import annotations

import inspect
import re
from dataclasses import FrozenInstanceError, dataclass, fields
from pathlib import Path
from typing import Any

import pytest

from portvec._artifact.dtypes import DTYPES
from portvec._options import accepts, option
from portvec.errors import OptionError
from portvec_export import export_model
from portvec_export._options import ExportOptions


def test_export_model_offers_and_describes_every_option() -> None:
    parameters = inspect.signature(export_model).parameters
    assert list(parameters)[:2] == ["source", "output"]
    described = (export_model.__doc__ or "").split("Args:")[1].split("Returns:")[0]
    for each in fields(ExportOptions):
        assert parameters[each.name].kind is inspect.Parameter.KEYWORD_ONLY
        assert parameters[each.name].default == each.default
        assert f"\n        {each.name}: " in described
    assert len(parameters) == 2 + len(fields(ExportOptions))


def test_unknown_option() -> None:
    with pytest.raises(TypeError, match=r"^export_model\(\) got an unexpected keyword argument 'colour'$"):
        export_model("model", "output", colour="red")  # type: ignore[call-arg]


def test_functions_get_their_options_whole() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Options:
        size: int = option(3, "how many")
        name: str = option("x", "what to call it")

    @accepts(Options)
    def make(first: int, second: str, options: Options) -> tuple[int, str, Options]:
        """Make.

        Args:
            first: a number.
            options: the options.
        """
        return first, second, options

    assert make(1, "b", size=4) == (1, "b", Options(size=4))
    assert make(second="b", first=1) == (1, "b", Options())  # type: ignore[call-arg]
    lines = [line.strip() for line in (make.__doc__ or "").splitlines()]
    assert lines[3:6] == ["first: a number.", "size: how many.", "name: what to call it."]


def test_options_cannot_be_changed() -> None:
    options = ExportOptions(dim=5)
    with pytest.raises(FrozenInstanceError):
        options.dim = 6  # type: ignore[misc]


def test_further_dtypes_are_in_the_order_of_the_format_and_each_once() -> None:
    options = ExportOptions(dtype="float16", variants=["int4", "int8", "float16", "int4"])
    assert options.further_dtypes == ["int8", "int4"]
    assert ExportOptions(variants=["float32"]).further_dtypes == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dtype": "bf16"}, f"^dtype 'bf16' is unknown, expected one of {', '.join(DTYPES)}$"),
        ({"dim": "5"}, "^dim is '5', expected a whole number of 1 or more, or None$"),
        ({"dim": "model"}, "^dim is 'model', expected a whole number"),
        ({"dim": 0}, "^dim is 0, expected a whole number"),
        ({"dim": 2.5}, r"^dim is 2\.5, expected a whole number"),
        ({"max_length": "all"}, "^max_length is 'all', expected a whole number"),
        ({"max_length": -1}, "^max_length is -1, expected a whole number"),
        ({"max_length": True}, "^max_length is True, expected a whole number"),
        ({"vocabulary_size": 0}, "^vocabulary_size is 0, expected a whole number"),
        ({"vocabulary_size": -3}, "^vocabulary_size is -3, expected a whole number"),
        ({"vocabulary_size": 2.5}, r"^vocabulary_size is 2\.5, expected a whole number"),
        ({"vocabulary_size": True}, "^vocabulary_size is True, expected a whole number"),
        ({"dim": 2**63}, "^dim is 9223372036854775808, expected at most 2147483647$"),
        ({"max_length": 2**31}, "^max_length is 2147483648, expected at most 2147483647$"),
        ({"vocabulary_size": 2**31}, "^vocabulary_size is 2147483648, expected at most"),
        ({"dtype": ["int8"]}, r"^dtype \['int8'\] is unknown, expected one of"),
        ({"dtype": None}, "^dtype None is unknown, expected one of"),
        ({"single_file": "no"}, "^single_file is 'no', expected bool$"),
        ({"overwrite": 1}, "^overwrite is 1, expected bool$"),
        ({"token_type_ids": None}, "^token_type_ids is None, expected bool$"),
        ({"revision": 5}, "^revision is 5, expected str or None$"),
        ({"normalize": 0}, "^normalize is 0, expected bool or None$"),
        ({"variants": 5}, r"^variants is 5, expected a list of names, such as \['int8'\]$"),
        ({"variants": None}, "^variants is None, expected a list"),
        ({"variants": [["int8"]]}, r"^variants is \[\['int8'\]\], expected a list"),
        ({"variants": "int8"}, r"^variants is 'int8', expected a list of names, such as \['int8'\]$"),
        (
            {"text_input": "strings"},
            r"^text_input is 'strings', expected a list of names, such as \['strings'\]$",
        ),
        ({"text_input": ["bytes"]}, "^text_input: kind 'bytes' is unknown, expected one of strings, codepo"),
        ({"variants": ["int8", "q4"]}, "^variants: dtype 'q4' is unknown, expected one of float32, "),
        (
            {"variants": ["float32"], "dtype": "int4"},
            "^variants has float32, which consumers look for in onnx/model.onnx, but that holds dtype='int4'",
        ),
    ],
)
def test_refused(values: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=message):
        ExportOptions(**values)
    with pytest.raises(OptionError, match=message):  # before anything is read
        export_model(tmp_path / "missing", tmp_path / "artifact", **values)


@pytest.mark.parametrize("value", [None, 5, b"model", "a\0b"])
def test_what_cannot_be_a_path(value: Any, tmp_path: Path) -> None:
    with pytest.raises(
        OptionError, match=rf"^the source is {re.escape(repr(value))}, expected the path of a"
    ):
        export_model(value, tmp_path / "artifact")
    with pytest.raises(OptionError, match=rf"^output is {re.escape(repr(value))}, expected the path of a"):
        export_model(tmp_path, value)
