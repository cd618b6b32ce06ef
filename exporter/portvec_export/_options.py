"""The options of an export. Each is declared and checked once, and they are passed as one object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from portvec._artifact import format as fmt
from portvec._artifact.dtypes import DTYPES
from portvec._messages import describe_unknown
from portvec._options import ConversionOptions, check_names, check_types, option
from portvec.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class ExportOptions(ConversionOptions):
    """The options of an export.

    Raises:
        OptionError: an option has a value that is unknown, out of range, or in conflict with another.
    """

    dtype: str = option(
        "float32",
        f"type of the stored table, one of {', '.join(DTYPES)}. Embeddings are float32 whichever it is",
    )
    single_file: bool = option(
        False, "put the table inside model.onnx, for consumers that load a graph from bytes"
    )
    overwrite: bool = option(False, "replace `output` if it is an artifact")
    variants: Sequence[str] = option(
        (),
        "further dtypes to store in the same folder, under the names by which other runtimes look for them, "
        "such as onnx/model_quantized.onnx for int8. `dtype`, which onnx/model.onnx and portvec use, may be "
        "among them",
    )
    token_type_ids: bool = option(
        False,
        "let the graphs accept this third input, which changes nothing, for consumers that always feed it",
    )
    text_input: Sequence[str] = option(
        (),
        'write graphs that take texts, with the tokenizer in them: "strings" for '
        f'{fmt.TEXT_GRAPHS[fmt.STRINGS]}, which needs onnxruntime, "codepoints" for '
        f"{fmt.TEXT_GRAPHS[fmt.CODE_POINTS]}, which has standard operators only. Both give the token ids of "
        "`tokenizers`, or are refused",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_types(self, bool, "single_file", "overwrite", "token_type_ids")
        check_names("variants", self.variants, "int8")
        check_names("text_input", self.text_input, fmt.STRINGS)
        problem = self._problem()
        if problem is not None:
            raise OptionError(problem)

    @property
    def further_dtypes(self) -> list[str]:
        """The dtypes of `variants` without `dtype`, each once."""
        return [dtype for dtype in DTYPES if dtype in self.variants and dtype != self.dtype]

    @property
    def text_inputs(self) -> dict[str, str]:
        """The path of each graph of `text_input`, by what it takes."""
        return {kind: path for kind, path in fmt.TEXT_GRAPHS.items() if kind in self.text_input}

    def _problem(self) -> str | None:
        """Return what is wrong with the options, or None if they are valid."""
        if self.dtype not in list(DTYPES):  # a list, since the value may be anything
            return describe_unknown("dtype", self.dtype, DTYPES)
        for dtype in self.variants:
            if dtype not in DTYPES:
                return describe_unknown("variants: dtype", dtype, DTYPES)
        for kind in self.text_input:
            if kind not in fmt.TEXT_GRAPHS:
                return describe_unknown("text_input: kind", kind, fmt.TEXT_GRAPHS)
        if "float32" in self.further_dtypes:
            return (
                f"variants has float32, which consumers look for in {fmt.GRAPH}, but that holds "
                f"dtype={self.dtype!r}; leave out one of them"
            )
        return None
