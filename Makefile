# A fresh machine needs Python 3.10+, make and a package index; everything else comes into .venv.
PYTHON ?= python3
BIN := .venv/bin
MODEL := models/minilm-l6-v2-256
# Text for the exhaustive comparison, a line each; used where it exists.
CORPORA := $(wildcard ../shared/corpora/*.txt.gz)
# A machine of another kind, emulated, and kept for the next run.
ARM64 := build/arm64

.PHONY: setup demo test test-exhaustive test-lowest test-wheel test-integrations test-integrations-lowest
.PHONY: test-consumers test-arm64 fuzz bench check clean

setup: .venv/ready

.venv/ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "portvec needs Python 3.10 or newer, got " + sys.version.split()[0] + "; set PYTHON=...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable ".[vocabulary,fast,milvus]" --group dev
	touch $@

demo: setup
	$(BIN)/portvec export $(MODEL) -o build/minilm-l6-v2-256 --overwrite
	$(BIN)/python examples/milvus_search.py build/minilm-l6-v2-256

test: setup
	$(BIN)/python -m pytest

# Every kind of model on whole corpora, as a table: docs/exactness.md
test-exhaustive: setup
	$(BIN)/python tests/tools/exhaustive.py $(CORPORA)

# The whole suite at the lowest versions that pyproject.toml allows, then the runtime alone at its own.
test-lowest: setup .venv-lowest/ready .venv-lowest-runtime/ready
	.venv-lowest/bin/python -m pytest
	$(BIN)/python tests/tools/lowest_runtime.py .venv-lowest-runtime/bin/python

.venv-lowest/ready: pyproject.toml tests/constraints/lowest.txt
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv-lowest/bin/python -m pip install --quiet -c tests/constraints/lowest.txt --editable ".[vocabulary,fast,milvus]" --group dev
	touch $@

.venv-lowest-runtime/ready: pyproject.toml tests/constraints/lowest-runtime.txt
	$(PYTHON) -m venv .venv-lowest-runtime
	.venv-lowest-runtime/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv-lowest-runtime/bin/python -m pip install --quiet -c tests/constraints/lowest-runtime.txt --editable .
	touch $@

# The adapters of portvec.integrations and docs/frameworks.md against the frameworks themselves, and types
# against theirs. They are large, so they have an environment of their own.
test-integrations: .venv-integrations/ready
	PORTVEC_ALL_INTEGRATIONS=1 .venv-integrations/bin/python -m pytest tests/integrations 
	.venv-integrations/bin/mypy --cache-dir .mypy_cache/integrations

test-integrations-lowest: .venv-integrations-lowest/ready
	PORTVEC_ALL_INTEGRATIONS=1 .venv-integrations-lowest/bin/python -m pytest tests/integrations

INTEGRATIONS := chroma,haystack,lancedb,langchain,llama-index,qdrant

.venv-integrations/ready: pyproject.toml
	$(PYTHON) -m venv .venv-integrations
	.venv-integrations/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv-integrations/bin/python -m pip install --quiet --editable ".[export,fast,milvus,$(INTEGRATIONS)]" --group dev
	touch $@

.venv-integrations-lowest/ready: pyproject.toml tests/constraints/lowest-integrations.txt
	$(PYTHON) -m venv .venv-integrations-lowest
	.venv-integrations-lowest/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv-integrations-lowest/bin/python -m pip install --quiet -c tests/constraints/lowest-integrations.txt \
		--editable ".[export,$(INTEGRATIONS)]" --group dev
	touch $@

# The runtime on emulated 64-bit ARM, on artifacts made here, as a table: docs/edge.md
test-arm64: setup $(ARM64)/ready
	PYTHONPATH=tests:tests/support $(BIN)/python -m arm64.compare $(ARM64) $(CORPORA)

$(ARM64)/ready: pyproject.toml tests/arm64/prepare.py | .venv/ready
	PYTHONPATH=tests:tests/support $(BIN)/python -m arm64.prepare $(ARM64)

# Other runtimes on one artifact, each in its own environment (Python 3.11 or newer, Node 20 or newer, 3 GB):
# docs/consumers.md. CONSUMERS=--allow-missing forgives those that cannot run here,
# CONSUMERS="--write docs/consumers.md" puts the table there.
CONSUMERS_IN := build/consumers
test-consumers: setup
	$(MAKE) -j4 $(patsubst %,$(CONSUMERS_IN)/%/ready,light torch node-3 node-4)
	$(BIN)/python tests/tools/run_consumers.py $(CONSUMERS)

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

# Against every peer, in about a quarter of an hour; QUICK=1 shows in a few minutes that it runs.
# Writes benchmarks/results, docs/images and the tables of docs/performance.md.
bench: .venv-bench/ready
	.venv-bench/bin/python -m benchmarks $(if $(QUICK),--quick)

.venv-bench/ready: pyproject.toml
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv-bench/bin/python -m pip install --quiet --editable ".[export,fast]" --group bench
	touch $@

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf .venv .venv-lowest .venv-lowest-runtime .venv-integrations .venv-integrations-lowest build dist .venv-bench .venv-wheel
