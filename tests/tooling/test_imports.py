"""No file imports itself by way of others. `make check` checks the order of the layers with import-linter."""

from __future__ import annotations

import pytest

grimp = pytest.importorskip("grimp")

# Loading converts a Model2Vec folder first. It imports the exporter inside a function.
BRIDGE = ("portvec._loading", "portvec_export")


def circles(imports: dict[str, set[str]]) -> list[set[str]]:
    """Return the groups of modules that import each other, directly or not."""
    below = {module: reachable(imports, module) for module in imports}
    found: list[set[str]] = []
    for module in sorted(imports):
        if module in below[module] and not any(module in circle for circle in found):
            found.append({other for other in below[module] if module in below[other]})
    return found


def reachable(imports: dict[str, set[str]], start: str) -> set[str]:
    reached: set[str] = set()
    todo = set(imports[start])
    while todo:
        reached |= todo
        todo = {name for module in todo for name in imports[module]} - reached
    return reached


def test_circles_are_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}) == [{"b", "c"}]
    assert circles({"a": {"a"}}) == [{"a"}]
    assert circles({"a": {"b"}, "b": {"a", "c"}, "c": {"d"}, "d": {"c"}}) == [{"a", "b"}, {"c", "d"}]


def test_no_circle_of_files() -> None:
    graph = grimp.build_graph("portvec", "portvec_export", cache_dir=None)
    imports = {
        module: {
            imported
            for imported in graph.find_modules_directly_imported_by(module)
            if not (module == BRIDGE[0] and imported.startswith(BRIDGE[1]))
        }
        for module in graph.modules
    }
    assert circles(imports) == []


def test_one_module_of_the_runtime_below_the_command_line_imports_the_exporter() -> None:
    graph = grimp.build_graph("portvec", "portvec_export", cache_dir=None)
    bridges = {
        module
        for module in graph.modules
        if module.startswith("portvec.") and not module.startswith("portvec._cli.")
        if any(name.startswith("portvec_export") for name in graph.find_modules_directly_imported_by(module))
    }
    assert bridges == {BRIDGE[0]}


@pytest.mark.parametrize(
    ("package", "module"), [("tokenizers", "portvec._tokenization.library"), ("tqdm", "portvec._progress")]
)
def test_one_module_of_the_runtime_imports_a_package(package: str, module: str) -> None:
    graph = grimp.build_graph("portvec", "portvec_export", cache_dir=None, include_external_packages=True)
    importers = graph.find_modules_that_directly_import(package)
    assert {each for each in importers if each.startswith("portvec.")} == {module}
