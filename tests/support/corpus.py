"""Real paragraphs that every Python brings: the docstrings and comments of its standard library."""

from __future__ import annotations

import ast
import re
import sysconfig
from functools import cache
from pathlib import Path


@cache
def paragraphs(count: int) -> list[str]:
    """Return the first `count` distinct paragraphs of the standard library's docstrings."""
    found: dict[str, None] = {}
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        if "site-packages" in path.parts or "lib2to3" in path.parts:
            continue
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError, RecursionError):  # broken on purpose, for CPython's own tests
            continue
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                for paragraph in re.split(r"\n\s*\n", ast.get_docstring(node) or ""):
                    if paragraph.strip():
                        found[paragraph] = None
        if len(found) >= count:
            return list(found)[:count]
    raise AssertionError(f"the standard library holds only {len(found)} paragraphs")
