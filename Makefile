# A fresh machine needs Python 3.10+, make and a package index; everything else comes into .venv.
PYTHON ?= python3
BIN := .venv/bin
MODEL := models/minilm-l6-v2-256
# Text for the exhaustive comparison, a line each; used where it exists.
CORPORA := $(wildcard ../shared/corpora/*.txt.gz)

.PHONY: setup demo test test-exhaustive test-lowest test-consumers fuzz check clean

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

# Other runtimes on one artifact, each in its own environment (Python 3.11 or newer, Node 20 or newer, 3 GB):
# docs/consumers.md. CONSUMERS=--allow-missing forgives those that cannot run here,
# CONSUMERS="--write docs/consumers.md" puts the table there.
CONSUMERS_IN := build/consumers
test-consumers: setup
	$(MAKE) -j4 $(patsubst %,$(CONSUMERS_IN)/%/ready,light torch node-3 node-4)
	$(BIN)/python tests/run_consumers.py $(CONSUMERS)

$(CONSUMERS_IN)/node-%/ready: tests/consumers/node-%.json
	mkdir -p $(@D)
	cp $< $(@D)/package.json
	if command -v npm >/dev/null; then \
		cd $(@D) && npm install --ignore-scripts --no-audit --no-fund --loglevel=error && touch ready; \
	else echo "npm is missing, so consumers in $(@D) will not run; install Node.js 20 or newer" >&2; fi

$(CONSUMERS_IN)/%/ready: tests/consumers/%.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "the consumers need Python 3.11 or newer, got " + sys.version.split()[0] + "; set PYTHON=...")'
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(@D)/bin/python -m pip install --quiet -r $<
	touch $@

# Hypothesis tests with many more examples: PORTVEC_FUZZ times the usual number.
fuzz: setup
	PORTVEC_FUZZ=100 $(BIN)/python -m pytest -k "fuzz or generated"

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf .venv .venv-lowest .venv-lowest-runtime build dist
