# A fresh machine needs Python 3.10+, make and a package index; everything else comes into .venv.
PYTHON ?= python3
BIN := .venv/bin
MODEL := models/minilm-l6-v2-256
# Text for the exhaustive comparison, a line each; used where it exists.
CORPORA := $(wildcard ../shared/corpora/*.txt.gz)

.PHONY: setup demo test test-exhaustive test-lowest test-wheel fuzz check clean

setup: .venv/ready

.venv/ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "portvec needs Python 3.10 or newer, got " + sys.version.split()[0] + "; set PYTHON=...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable ".[export,fast,milvus]" --group dev
	touch $@

demo: setup
	$(BIN)/portvec export $(MODEL) -o build/minilm-l6-v2-256 --overwrite
	$(BIN)/python examples/milvus_search.py build/minilm-l6-v2-256

test: setup
	$(BIN)/python -m pytest

# Every kind of model on whole corpora, as a table: docs/exactness.md
test-exhaustive: setup
	$(BIN)/python tests/exhaustive.py $(CORPORA)

# The whole suite at the lowest versions that pyproject.toml allows, then the runtime alone at its own.
test-lowest: setup .venv-lowest/ready .venv-lowest-runtime/ready
	.venv-lowest/bin/python -m pytest
	$(BIN)/python tests/lowest_runtime.py .venv-lowest-runtime/bin/python

.venv-lowest/ready: pyproject.toml tests/lowest.txt
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv-lowest/bin/python -m pip install --quiet -c tests/lowest.txt --editable ".[export,fast,milvus]" --group dev
	touch $@

.venv-lowest-runtime/ready: pyproject.toml tests/lowest-runtime.txt
	$(PYTHON) -m venv .venv-lowest-runtime
	.venv-lowest-runtime/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv-lowest-runtime/bin/python -m pip install --quiet -c tests/lowest-runtime.txt --editable .
	touch $@

# The wheel as users install it, away from the sources: what it does, by way of the tests that need none of them.
WHEEL_TESTS := classifier cli embedder export hub milvus pull push
test-wheel: setup
	rm -rf build/wheel && mkdir -p build/wheel/project
	$(BIN)/python -m build --outdir build/wheel > build/wheel/build.log
	test -x .venv-wheel/bin/python || $(PYTHON) -m venv .venv-wheel
	.venv-wheel/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv-wheel/bin/python -m pip install --quiet "$$(ls build/wheel/*.whl)[export,fast,milvus]" --group dev
	.venv-wheel/bin/python -m pip install --quiet --force-reinstall --no-deps build/wheel/*.whl
	cp -R tests models examples pyproject.toml build/wheel/project
	cd build/wheel/project && ../../../.venv-wheel/bin/python -c 'import portvec, portvec_export; assert all("site-packages" in p.__file__ for p in (portvec, portvec_export))'
	cd build/wheel/project && ../../../.venv-wheel/bin/python -m pytest $(WHEEL_TESTS:%=tests/test_%.py)

# Hypothesis tests with many more examples: PORTVEC_FUZZ times the usual number.
fuzz: setup
	PORTVEC_FUZZ=100 $(BIN)/python -m pytest -k "fuzz or generated"

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf .venv .venv-lowest .venv-lowest-runtime .venv-wheel build dist
