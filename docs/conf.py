"""The documentation site: these pages, and an API reference from the docstrings.

    python -m sphinx -W --keep-going -b html docs build/site

portvec and portvec_export must be importable. The frameworks of portvec.integrations need not be.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import portvec

sys.path.insert(0, str(Path(__file__).parent))

from _frameworks import stand_ins

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]

project = "portvec"
author = "The portvec developers"
copyright = author
version = release = portvec.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}

html_theme = "furo"
html_title = f"portvec {version}"
html_copy_source = False

myst_heading_anchors = 3  # links such as format.md#graph, as Git hosts make them
myst_links_external_new_tab = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# Import the adapters once, without their frameworks: autodoc then finds them imported.
_FRAMEWORKS = [
    "chromadb",
    "daft",
    "duckdb",
    "haystack",
    "lancedb",
    "langchain_core",
    "llama_index",
    "mteb",
    "polars",
    "pyarrow",
    "pydantic",
    "pyspark",
    "qdrant_client",
    "ray",
]
with stand_ins(_FRAMEWORKS) as import_module:
    for adapter in Path(portvec.integrations.__file__).parent.glob("[a-z]*.py"):
        import_module(f"portvec.integrations.{adapter.stem}")

# The navigation is here because a Git host would show it as code in index.md.
_NAVIGATION = {
    "How to": [
        "howto-pandas",
        "howto-scikit-learn",
        "howto-classifiers",
        "howto-tokens",
        "howto-asymmetric",
        "howto-large-files",
        "howto-offline",
        "edge",
        "publishing",
        "frameworks",
        "engines",
        "scale",
        "text-in",
        "consumers",
        "quality",
        "faq",
    ],
    "Reference": ["api", "format", "performance", "exactness", "security"],
    "Development": ["architecture"],
}
_LINK_OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./([^)#]+)(?:#[^)]*)?\)")


def _adapt(app: Sphinx, name: str, source: list[str]) -> None:
    """Turn links to files outside docs/ into their names, and give the first page its navigation."""
    source[0] = _LINK_OUTSIDE.sub(lambda link: _name_file(link[1], link[2]), source[0])
    if name == "index":
        for caption, pages in _NAVIGATION.items():
            options = f":hidden:\n:caption: {caption}\n"
            source[0] += "\n```{toctree}\n" + options + "\n" + "\n".join(pages) + "\n```\n"


def _name_file(label: str, path: str) -> str:
    """Return the text for a link to a file of the repository, which the site does not have."""
    if not (ROOT / path).exists():
        raise FileNotFoundError(f"docs link to {path}, which does not exist")
    if label.strip("`") in (path, Path(path).name):
        return f"`{path}`"
    return f"{label} (`{path}`)"


def setup(app: Sphinx) -> None:
    """Connect what this project adds to Sphinx."""
    app.connect("source-read", _adapt)
