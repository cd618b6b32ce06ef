"""Writing graphs with text input into an artifact."""

from __future__ import annotations

from pathlib import Path

from portvec._artifact import format as fmt
from portvec._python_docs import read_language_reference
from portvec.errors import ExportError
from portvec_export._graph.writer import write_single_file
from portvec_export._options import ExportOptions
from portvec_export._sidecars.conformance_texts import list_conformance_texts
from portvec_export._source.model import SourceModel
from portvec_export._table.table import Table
from portvec_export._text_input.build import build_text_graph
from portvec_export._text_input.errors import NotExpressible
from portvec_export._text_input.proof import check_ids
from portvec_export._vocabulary.proof import untruncated

# Paragraphs of Python's language reference that the graph is proven on.
_PARAGRAPHS = 1000


def write_text_graphs(folder: Path, source: SourceModel, table: Table, options: ExportOptions) -> None:
    """Write the graphs that `text_input` asks for, each in one file.

    Raises:
        ExportError: the tokenizer cannot be part of a graph, or the table is too large for one file.
    """
    if not options.text_input:
        return
    tokenizer, rules = source.original.tokenizer, source.rules
    recorded = list_conformance_texts(rules.max_length, rules.max_characters)
    try:
        with untruncated(tokenizer):
            check_ids(tokenizer, [*recorded, *read_language_reference()[:_PARAGRAPHS]])
            for kind, path in options.text_inputs.items():
                graph = build_text_graph(kind, tokenizer, table, rules, source.head)
                write_single_file(graph, folder / path, "leave out text_input")
    except NotExpressible as why:
        raise ExportError(
            f"text_input: a graph cannot have this model's tokenizer, because {why}; leave out text_input "
            f"(--text-input), and feed {fmt.GRAPH} with the ids of tokenizer.json"
        ) from why
