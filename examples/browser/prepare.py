"""Put the page, the runtime, a model and passages into one folder that any file server can serve.

    python examples/browser/prepare.py ARTIFACT RUNTIME OUTPUT

ARTIFACT is an exported model with text input (`portvec export MODEL --dtype int8 --text-input`), RUNTIME the
folder of the npm package onnxruntime-web. The passages are the paragraphs of portvec's documentation.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

PAGE = Path(__file__).parent
DOCS = PAGE.parents[1] / "docs"
MODEL = "model_text.onnx"
# Of the package's 60 files: the module, and the WebAssembly without the parts for graphics cards.
RUNTIME_FILES = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
PAGE_SUFFIXES = {".html", ".css", ".js", ".svg"}
SHORTEST_PASSAGE = 60


def main(artifact: Path, runtime: Path, output: Path) -> None:
    """Write the folder anew."""
    model = artifact / "onnx" / MODEL
    sources = {MODEL: model, **{f"ort/{name}": runtime / "dist" / name for name in RUNTIME_FILES}}
    for source in sources.values():
        if not source.is_file():
            sys.exit(f"{source} is missing, and the page needs it; make browser-demo makes all that it needs")
    sources.update({path.name: path for path in sorted(PAGE.iterdir()) if path.suffix in PAGE_SUFFIXES})

    shutil.rmtree(output, ignore_errors=True)
    (output / "ort").mkdir(parents=True)
    for name, source in sources.items():
        shutil.copyfile(source, output / name)
    passages = [passage for path in sorted(DOCS.glob("*.md")) for passage in read_passages(path)]
    (output / "passages.json").write_text(json.dumps(passages, ensure_ascii=False), encoding="utf-8")
    size = sum(path.stat().st_size for path in output.rglob("*") if path.is_file()) / 1e6
    print(f"{output}: {len(passages)} passages, {size:.1f} MB")


def read_passages(path: Path) -> Iterator[dict[str, str]]:
    """Yield the paragraphs of a Markdown file: no tables, code or short lines.

    The source is the title and the last heading.
    """
    text = re.sub(
        r"^```.*?^```|<!--.*?-->", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    title = section = ""
    for block in re.split(r"\n\s*\n|\n(?=- )", text):
        heading = re.match(r"(#+) (.*)", block)
        if heading:
            section = plain(heading[2])
            title = title or section
            continue
        passage = plain(re.sub(r"^(- |\d+\. )", "", block.strip()))
        if len(passage) >= SHORTEST_PASSAGE and passage[0] not in "|<(:!" and passage[-1] in ".:?!)":
            yield {"text": passage, "source": title if section == title else f"{title} · {section}"}


def plain(markdown: str) -> str:
    """Return Markdown without its marks, in one line."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", markdown)
    text = re.sub(r"\*\*(.+?)\*\*", r"\1", text, flags=re.DOTALL)
    return " ".join(text.replace("`", "").split())


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: prepare.py ARTIFACT RUNTIME OUTPUT")
    main(*map(Path, sys.argv[1:]))
