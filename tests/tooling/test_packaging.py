"""What is installed, what is imported, what is public."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_string
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import portvec
import portvec_export
from portvec import errors
from portvec._artifact import layouts as _layout
from portvec._messages import install
from portvec._tokenization.backends import ACCELERATORS
from project import ROOT

HEAVY = ["onnx", "model2vec", "safetensors", "torch", "transformers", "pymilvus", "huggingface_hub", "click"]
# Packages that come with the runtime, take long to import, and are not needed to embed.
SLOW = ["tqdm", "filelock", "asyncio", "logging", "tempfile", "concurrent"]


def loaded_after(statement: str) -> set[str]:
    program = f"import sys; {statement}; print(*{{name.split('.')[0] for name in sys.modules}})"
    output = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return set(output.stdout.split())


def test_importing_and_embedding_loads_nothing_of_the_exporter(tiny: Path) -> None:
    embed = f"from portvec import *; Model2VecEmbeddingFunction({str(tiny)!r}).encode_queries(['x'])"
    for statement in ("import portvec", embed):
        loaded = loaded_after(statement)
        assert "portvec" in loaded
        assert loaded.isdisjoint([*HEAVY, *SLOW, "onnxruntime", "portvec_export"])


def test_onnxruntime_waits_for_the_first_batch(tiny: Path) -> None:
    load = f"from portvec import StaticEmbedder; embedder = StaticEmbedder.load({str(tiny)!r})"
    assert "onnxruntime" not in loaded_after(f"{load}; embedder.encode('x'); embedder.encode(['x', ''][:1])")
    assert "onnxruntime" in loaded_after(f"{load}; embedder.encode(['x', 'y'])")


def test_the_catalogue_needs_no_other_package() -> None:
    loaded = loaded_after("import portvec; portvec.known_models()")
    assert loaded.isdisjoint([*HEAVY, *SLOW, "numpy", "onnxruntime", "tokenizers"])


@pytest.mark.parametrize("name", ["StaticEmbedder", "verify", "errors", "integrations.milvus", "__version__"])
def test_a_name_works_without_an_import_of_its_own(name: str) -> None:
    """Modules are imported when a name is first used."""
    assert "portvec" in loaded_after(f"import portvec; portvec.{name}")


def test_a_name_that_does_not_exist() -> None:
    with pytest.raises(AttributeError, match=r"^module 'portvec' has no attribute 'StaticEmbeder'$"):
        _ = portvec.StaticEmbeder  # type: ignore[attr-defined]
    with pytest.raises(ImportError, match=r"^cannot import name 'x' from 'portvec'"):
        from portvec import x  # type: ignore[attr-defined]  # noqa: F401


def test_exporting_loads_no_torch(tiny_model: Path, tmp_path: Path) -> None:
    export = f"from portvec_export import *; export_model({str(tiny_model)!r}, {str(tmp_path / 'a')!r})"
    heavy = ["torch", "transformers", "sklearn", "pymilvus", "huggingface_hub", "httpx"]
    assert loaded_after(export).isdisjoint(heavy)


def test_public_names() -> None:
    assert portvec.__all__ == [
        "KnownModel",
        "Manifest",
        "Model2VecEmbeddingFunction",
        "PortvecError",
        "StaticClassifier",
        "StaticEmbedder",
        "TokenIds",
        "Verification",
        "known_models",
        "verify",
    ]
    assert portvec_export.__all__ == ["export_model"]
    assert {*portvec.__all__, "errors", "__version__"} <= {*dir(portvec)}
    for package in (portvec, portvec_export):
        for name in package.__all__:
            assert getattr(package, name).__doc__


def test_error_hierarchy_is_what_its_docstring_draws() -> None:
    drawn = {}
    ancestors = ["PortvecError"]
    for line in (errors.__doc__ or "").splitlines():
        if "─ " not in line:
            continue
        branch, entry = line.split("─ ", 1)
        depth = len(branch.rstrip("├└─")) // 4  # a level is indented by four columns, as is the root
        name = entry.split()[0]
        ancestors[depth:] = [name]
        extra = re.search(r"\(also (.*)\)", entry)
        drawn[name] = {ancestors[depth - 1], *(extra[1].split(", ") if extra else ())}
    defined = {
        name: {base.__name__ for base in value.__bases__}
        for name, value in vars(errors).items()
        if isinstance(value, type) and name != "PortvecError"
    }
    assert drawn == defined


def test_layouts_are_those_of_model2vec() -> None:
    from model2vec.persistence.datamodels import FOLDER_LAYOUTS

    theirs = [
        tuple(path.as_posix() for path in (layout.embeddings, layout.config, layout.tokenizer))
        for layout in FOLDER_LAYOUTS
    ]
    assert [layout.files for layout in _layout.LAYOUTS] == theirs


def required_by(package: str, extra: str = "") -> dict[str, str]:
    """Return the lowest version of each requirement, by name; "" if it has none."""
    lowest: dict[str, str] = {}
    for entry in map(Requirement, requires(package) or []):
        if entry.marker is None or entry.marker.evaluate({"extra": extra}):
            bounds = [bound.version for bound in entry.specifier if bound.operator in (">=", "==")]
            lowest[entry.name.replace("_", "-")] = max(
                bounds, default="", key=lambda v: tuple(map(int, v.split(".")))
            )
    return lowest


def test_required_dependencies_bring_nothing_of_their_own() -> None:
    named = required_by("portvec").keys()
    core = {"numpy", "onnxruntime", "tokenizers"}
    assert core < named
    # huggingface_hub 1 requires click through typer-slim, version 2 itself.
    brought = required_by("tokenizers").keys() | required_by("huggingface-hub").keys()
    if "typer-slim" in brought:
        brought |= required_by("typer-slim").keys()
    assert named - core <= brought


@pytest.mark.parametrize(("extra", "file"), [("", "lowest-runtime.txt"), ("export", "lowest.txt")])
def test_lowest_versions_are_those_that_the_tests_run(extra: str, file: str) -> None:
    check_pins(file, required_by("portvec", extra))


def test_lowest_accelerators_are_those_that_the_tests_run() -> None:
    base = required_by("portvec")
    accelerators = {
        name: lowest for name, lowest in required_by("portvec", "fast").items() if name not in base
    }
    assert {accelerator.package for accelerator in ACCELERATORS.values()} <= accelerators.keys()
    check_pins("lowest.txt", accelerators)


def check_pins(file: str, stated: dict[str, str]) -> None:
    """Check that a file of constraints pins each package to the lowest version that is stated."""
    lines = (ROOT / "tests" / "constraints" / file).read_text().splitlines()
    pinned = [Requirement(line) for line in lines if "==" in line]
    versions = {entry.name.replace("_", "-"): next(iter(entry.specifier)).version for entry in pinned}
    assert versions.keys() >= stated.keys()
    for name, lowest in stated.items():
        assert (versions[name] + ".0").startswith(lowest + "."), name


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def wheel(distributions: Path) -> Path:
    (path,) = distributions.glob("*.whl")
    return path


@pytest.mark.slow
def test_wheel_holds_both_packages_whole_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {
        path.relative_to(ROOT / root).as_posix()
        for root, package in (("runtime", "portvec"), ("exporter", "portvec_export"))
        for path in (ROOT / root / package).rglob("*")
        if path.is_file() and path.suffix in (".py", ".typed")
    }
    assert {"portvec/py.typed", "portvec_export/py.typed"} < expected
    metadata = {name for name in names if name.split("/")[0].endswith(".dist-info")}
    assert names - metadata == expected
    assert {name.split("/", 1)[1] for name in metadata} == {
        "METADATA",
        "WHEEL",
        "RECORD",
        "entry_points.txt",
        "licenses/LICENSE",
    }


@pytest.mark.slow
def test_wheel_from_the_sources_is_the_one_from_the_sdist(wheel: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (direct,) = tmp_path.glob("*.whl")

    def contents(path: Path) -> dict[str, bytes]:
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    assert direct.name == wheel.name
    assert contents(direct) == contents(wheel)


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="asks git what belongs to the project")
@pytest.mark.slow
def test_sdist_holds_what_is_committed_but_the_models(distributions: Path) -> None:
    (sdist,) = distributions.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {member.name.split("/", 1)[1] for member in archive if member.isfile()}
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    left_out = ("models/", ".ci/")
    expected = {name for name in listed if not name.startswith(left_out) and (ROOT / name).exists()}
    assert names == {*expected, "PKG-INFO"}
    assert sdist.stat().st_size < 1_200_000  # no tables and no builds are among them


@pytest.mark.slow
def test_metadata_says_what_an_index_shows(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = message_from_string(archive.read(name).decode("utf-8"))
    assert metadata["Name"] == "portvec"
    assert metadata["Version"] == portvec.__version__
    assert metadata["License-Expression"] == "MIT"
    assert metadata["License-File"] == "LICENSE"
    assert metadata["Requires-Python"] == ">=3.10"
    assert len(metadata["Summary"]) < 120
    assert metadata["Description-Content-Type"] == "text/markdown"
    description = str(metadata.get_payload())
    assert description.startswith("# portvec\n")
    assert not re.search(r"\]\((?!https?:|#)", description)  # relative links lead nowhere on an index
    # The project has no public address yet.
    assert metadata.get_all("Project-URL") is None
    assert {"export", "fast", "milvus"} <= set(metadata.get_all("Provides-Extra", []))
    minors = {line.rsplit(" :: ", 1)[1] for line in metadata.get_all("Classifier", []) if ":: 3." in line}
    assert minors == {"3.10", "3.11", "3.12", "3.13"}


@pytest.mark.slow
def test_base_installation_embeds_and_verifies(wheel: Path, bundled: Path, tmp_path: Path) -> None:
    """The wheel alone, in a fresh environment: no exporter, small, and it works."""
    import venv

    venv.create(tmp_path / "venv", with_pip=True)
    scripts = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
    python = scripts / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", str(wheel)], check=True, cwd=tmp_path)
    (site,) = (tmp_path / "venv").rglob("site-packages")
    installed = {path.relative_to(site).parts[0].split("-")[0]: 0 for path in site.iterdir()}
    for path in site.rglob("*"):
        # Leave out bytecode, whose size depends on Python: 30 MB with 3.11.
        if path.is_file() and path.parent.name != "__pycache__":
            installed[path.relative_to(site).parts[0].split("-")[0]] += path.stat().st_size
    assert installed.keys().isdisjoint(HEAVY[:6])
    with_the_environment = ("pip", "setuptools", "pkg_resources", "_distutils_hack")
    # onnxruntime up to 1.23, the last for Python 3.10, requires sympy without using it to run a graph.
    for name in (*with_the_environment, "sympy", "mpmath"):
        installed.pop(name, None)
    assert sum(installed.values()) < 175e6, sorted(installed.items(), key=lambda item: -item[1])[:8]

    for arguments in (["verify", str(bundled)], ["embed", str(bundled), "hello world"]):
        subprocess.run([scripts / "portvec", *arguments], check=True, cwd=tmp_path, capture_output=True)
    export = subprocess.run(
        [scripts / "portvec", "export", ".", "-o", "out"], cwd=tmp_path, capture_output=True, text=True
    )
    assert export.returncode == 1
    assert re.search(r"export needs the package \w+; run pip install 'portvec\[export\]'", export.stderr)


def test_the_command_that_messages_give_works_before_portvec_is_on_an_index() -> None:
    """pip takes the installed portvec, and asks an index only for what the extra adds."""
    command = install("fast").removeprefix("run pip ").replace("'", "").split()
    result = subprocess.run(
        [sys.executable, "-m", "pip", *command, "--dry-run", "--no-index", "--no-deps"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    assert "Requirement already satisfied: portvec[fast]" in result.stdout
