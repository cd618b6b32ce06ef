# A fresh machine needs Python 3.10+, make and a package index. Everything else goes into .venv.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
MODEL := models/minilm-l6-v2-256
# Texts for the exhaustive comparison, one per line. They are used if they exist.
CORPORA := $(wildcard ../shared/corpora/*.txt.gz)
# Tests run in as many processes as there are cores.
PARALLEL := -n auto --dist worksteal
CONSUMERS_IN := build/consumers
ARM64 := build/arm64
BROWSER := build/browser
TEXT_IN := build/text-in
# The port on this machine at which `make browser-demo` serves the page.
PORT ?= 8000

.DEFAULT_GOAL := help
.PHONY: help setup demo browser-demo prepare-browser-demo format check test test-slow test-exhaustive test-lowest \
	test-wheel test-integrations test-integrations-lowest test-scale test-consumers test-arm64 test-browser test-text-in fuzz \
	bench bench-scale bench-text-in \
	train-model measure-model docs clean

help:  ## Print this list.
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 28

setup: .venv/ready  ## Create .venv with portvec, installed from the sources, and the tools.

demo: setup  ## Export the bundled model and search with it in Milvus Lite.
	@$(BIN)/portvec export $(MODEL) -o build/minilm-l6-v2-256 --overwrite
	@$(BIN)/python examples/milvus_search.py build/minilm-l6-v2-256

browser-demo: prepare-browser-demo  ## Serve a page that searches by meaning in the browser, at PORT=8000 (npm once, for its packages).
	@$(BIN)/python examples/browser/serve.py build/browser-demo $(PORT)

# Makes build/browser-demo, which any file server can serve.
prepare-browser-demo: setup $(BROWSER)/page/ready
	@$(BIN)/portvec export $(MODEL) -o $(BROWSER)/model --dtype int8 --text-input --overwrite
	@$(BIN)/python examples/browser/prepare.py $(BROWSER)/model $(BROWSER)/page/node_modules/onnxruntime-web \
		build/browser-demo

format: setup  ## Format the code.
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format .

check: setup  ## Check style, types and the direction of imports.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache

test: setup  ## Run the tests: four to seven minutes, without a network.
	$(PYTEST) $(PARALLEL) -m "not slow"

test-slow: setup  ## Run the slow tests: killed processes, thousands of calls, environments made with pip.
	$(PYTEST) $(PARALLEL) -m slow

docs: setup  ## Build the site in build/site. Warnings are errors.
	$(BIN)/python -m sphinx -W --keep-going --quiet -b html docs build/site

test-exhaustive: setup .venv-bench/ready  ## Check every kind of model on whole corpora, and print the table of docs/exactness.md.
	PYTHONPATH=tests/support $(BIN)/python tests/tools/exhaustive.py $(CORPORA)
	PYTHONPATH=tests/support $(BIN)/python tests/tools/exhaustive.py --tokenizer compiled $(CORPORA)
	HF_HUB_OFFLINE=1 PYTHONPATH=tests/support .venv-bench/bin/python tests/tools/exhaustive.py \
		--library sentence-transformers $(CORPORA)

# The tests that depend on versions, at the lowest that pyproject.toml allows, then the runtime alone at its own.
LOWEST_TESTS := tests/unit tests/bulk tests/artifact tests/embedding tests/exactness tests/export tests/hub tests/cli
test-lowest: setup .venv-lowest/ready .venv-lowest-runtime/ready  ## Run the tests at the lowest supported versions.
	.venv-lowest/bin/python -m pytest $(PARALLEL) -m "not slow" $(LOWEST_TESTS)
	PYTHONPATH=tests/support $(BIN)/python tests/tools/lowest_runtime.py .venv-lowest-runtime/bin/python

# The wheel as users install it, with the tests that need none of the sources.
WHEEL_TESTS := tests/artifact tests/bulk tests/cli tests/embedding tests/export tests/hub tests/integrations/test_milvus.py
test-wheel: setup  ## Build the wheel, install it, and test it away from the sources.
	rm -rf build/wheel && mkdir -p build/wheel/project
	$(BIN)/python -m build --outdir build/wheel > build/wheel/build.log
	test -x .venv-wheel/bin/python || $(PYTHON) -m venv .venv-wheel
	.venv-wheel/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv-wheel/bin/python -m pip install --quiet "$$(ls build/wheel/*.whl)[vocabulary,fast,milvus]" --group dev
	.venv-wheel/bin/python -m pip install --quiet --force-reinstall --no-deps build/wheel/*.whl
	cp -R tests models examples pyproject.toml README.md docs build/wheel/project
	cd build/wheel/project && ../../../.venv-wheel/bin/python -c 'import portvec, portvec_export; assert all("site-packages" in p.__file__ for p in (portvec, portvec_export))'
	cd build/wheel/project && ../../../.venv-wheel/bin/python -m pytest $(PARALLEL) -m "not slow" $(WHEEL_TESTS)

INTEGRATIONS := chroma,haystack,lancedb,langchain,llama-index,qdrant
test-integrations: .venv-integrations/ready  ## Run the adapters against the frameworks themselves (1.4 GB).
	PORTVEC_ALL_INTEGRATIONS=1 .venv-integrations/bin/python -m pytest $(PARALLEL) tests/integrations
	.venv-integrations/bin/mypy --cache-dir .mypy_cache/integrations

test-integrations-lowest: .venv-integrations-lowest/ready  ## Run the adapters at the lowest versions of the frameworks.
	PORTVEC_ALL_INTEGRATIONS=1 .venv-integrations-lowest/bin/python -m pytest tests/integrations

ENGINES := ray,spark,daft,duckdb,polars
# One test at a time: an engine starts processes of its own.
test-scale: .venv-scale/ready  ## Run the engines for many rows, on one machine (2 GB; Java 17).
	PORTVEC_ALL_ENGINES=1 .venv-scale/bin/python -m pytest tests/scale
	.venv-scale/bin/mypy --cache-dir .mypy_cache/scale

# CONSUMERS=--allow-missing forgives consumers that cannot run here. CONSUMERS="--write docs/consumers.md" writes the
# table to that page.
test-consumers: setup  ## Run other runtimes, and mteb, on an artifact (3.6 GB; Python 3.11, Node.js 20): docs/consumers.md.
	$(MAKE) --no-print-directory -j4 $(patsubst %,$(CONSUMERS_IN)/%/ready,light torch node-3 node-4)
	PYTHONPATH=tests/support $(BIN)/python tests/tools/run_consumers.py $(CONSUMERS)
	PORTVEC_ALL_CONSUMERS=1 PORTVEC_TEST_ARTIFACTS=$(CURDIR)/$(CONSUMERS_IN)/alone HF_HUB_OFFLINE=1 \
		PYTHONPATH=$(CURDIR)/runtime $(CONSUMERS_IN)/torch/bin/python -m pytest tests/integrations/test_mteb.py \
		tests/tooling/test_student.py

test-arm64: setup $(ARM64)/ready  ## Test the runtime on emulated 64-bit ARM (Debian or Ubuntu on x86-64): docs/edge.md.
	PYTHONPATH=tests:tests/support $(BIN)/python -m arm64.compare $(ARM64) $(CORPORA)

test-browser: prepare-browser-demo .venv-browser/ready $(BROWSER)/tests/ready $(BROWSER)/chromium  ## Test the page of make browser-demo in Chromium, which is fetched if there is none.
	PORTVEC_BROWSER=$(CURDIR)/$(BROWSER)/chromium PORTVEC_BROWSER_DEMO=$(CURDIR)/build/browser-demo \
		PORTVEC_BROWSER_MODEL=$(CURDIR)/$(BROWSER)/model \
		PORTVEC_BROWSER_AXE=$(CURDIR)/$(BROWSER)/tests/node_modules/axe-core/axe.min.js \
		.venv-browser/bin/python -m pytest tests/browser

# TEXT_IN_OPTIONS="--write docs/text-in.md" writes the tables to that page.
TEXT_IN_HOSTS := $(patsubst %,$(TEXT_IN)/%/ready,python-1.17 python-1.20 python-1.23 python-newest node) $(ARM64)/ready
test-text-in: setup  ## Run graphs with text input everywhere, on every code point (Debian 12; Node.js 20): docs/text-in.md.
	$(MAKE) --no-print-directory -j4 $(TEXT_IN_HOSTS)
	$(MAKE) --no-print-directory $(TEXT_IN)/c/ready
	PYTHONPATH=tests:tests/support $(BIN)/python tests/tools/run_text_input.py $(TEXT_IN_OPTIONS) $(CORPORA)
	$(MAKE) --no-print-directory test-browser
	PORTVEC_TEXT_IN=$(CURDIR)/$(TEXT_IN) PORTVEC_BROWSER=$(CURDIR)/$(BROWSER)/chromium $(PYTEST) tests/text_input

fuzz: setup  ## Run the generated tests with 100 times as many examples, in 40 minutes.
	PORTVEC_FUZZ=100 $(PYTEST) $(PARALLEL) -m "hypothesis or fuzz"

# ONLY="start/* cold/huge/*" measures only these, and keeps nothing; ONLY=list lists all.
bench: .venv-bench/ready  ## Compare with every peer, in 20 minutes; QUICK=1 only shows that it runs.
	.venv-bench/bin/python -m benchmarks $(if $(QUICK),--quick) $(if $(ONLY),--only $(foreach pattern,$(ONLY),'$(pattern)'))

bench-scale: .venv-scale/ready  ## Measure files and engines with millions of rows, and write the table of docs/scale.md.
	.venv-scale/bin/python -m benchmarks.scale

bench-text-in: .venv-bench/ready  ## Compare graphs with text input with tokenizers and a graph; write the table of docs/text-in.md.
	.venv-bench/bin/python -m benchmarks.text_in

# TRAIN="--output models/minilm-l6-v2-256" replaces the bundled model.
train-model: .venv-train/ready  ## Train the bundled model anew into build/train, in half an hour (Debian 12; 1 GB).
	.venv-train/bin/python models/train.py $(TRAIN)

measure-model: setup  ## Measure the bundled model by dimensions and dtypes, with what train-model downloads.
	$(BIN)/python models/measure.py

clean:  ## Remove what the targets made.
	rm -rf .venv .venv-* build dist

# $(call environment,FOLDER,LOWEST PYTHON,ARGUMENTS OF PIP,FURTHER PREREQUISITES): a virtual environment that is made
# again when pyproject.toml changes.
define environment
$(1)/ready: pyproject.toml $(4)
	@echo "making the environment $(1)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, $(2)) and "$(1) needs Python 3.$(2) or newer, got " + sys.version.split()[0] + "; set PYTHON=...")'
	@$(PYTHON) -m venv $(1)
	@$(1)/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	@$(1)/bin/python -m pip install --quiet $(3)
	@touch $$@
endef

# A comma would end an argument of call.
, := ,
LOWEST := tests/constraints
FROM_SOURCES = --editable ".[vocabulary$(,)fast$(,)milvus]" --group dev
WITH_FRAMEWORKS = --editable ".[export$(,)fast$(,)milvus$(,)$(INTEGRATIONS)]" --group dev
WITH_ENGINES = --editable ".[export$(,)fast$(,)milvus$(,)$(ENGINES)]" --group dev
$(eval $(call environment,.venv,10,$$(FROM_SOURCES) --group docs))
$(eval $(call environment,.venv-lowest,10,-c $(LOWEST)/lowest.txt $$(FROM_SOURCES),$(LOWEST)/lowest.txt))
$(eval $(call environment,.venv-lowest-runtime,10,-c $(LOWEST)/lowest-runtime.txt --editable .,$(LOWEST)/lowest-runtime.txt))
$(eval $(call environment,.venv-integrations,10,$$(WITH_FRAMEWORKS)))
$(eval $(call environment,.venv-integrations-lowest,10,-c $(LOWEST)/lowest-integrations.txt $$(WITH_FRAMEWORKS),$(LOWEST)/lowest-integrations.txt))
$(eval $(call environment,.venv-scale,10,$$(WITH_ENGINES) --group scale))
$(eval $(call environment,.venv-bench,11,--editable ".[export$$(,)fast]" --group bench))
$(eval $(call environment,.venv-browser,10,--editable . --group browser))
$(eval $(call environment,.venv-train,10,--group train))
$(eval $(call environment,$(CONSUMERS_IN)/light,11,-r tests/consumers/light.txt,tests/consumers/light.txt))
$(eval $(call environment,$(CONSUMERS_IN)/torch,11,-r tests/consumers/torch.txt,tests/consumers/torch.txt))
$(eval $(call environment,$(TEXT_IN)/python-1.17,10,"onnxruntime==1.17.*" "numpy<2"))
$(eval $(call environment,$(TEXT_IN)/python-1.20,10,"onnxruntime==1.20.*"))
$(eval $(call environment,$(TEXT_IN)/python-1.23,10,"onnxruntime==1.23.*"))
$(eval $(call environment,$(TEXT_IN)/python-newest,10,onnxruntime))

$(CONSUMERS_IN)/node-%/ready: tests/consumers/node-%.json
	@echo "installing Node packages in $(@D)"
	@mkdir -p $(@D)
	@cp $< $(@D)/package.json
	@if command -v npm >/dev/null; then \
		cd $(@D) && npm install --ignore-scripts --no-audit --no-fund --loglevel=error && touch ready; \
	else echo "npm is missing, so consumers in $(@D) will not run; install Node.js 20 or newer" >&2; fi

# $(call npm_packages,FOLDER,PACKAGE.JSON)
define npm_packages
$(1)/ready: $(2)
	@echo "installing Node packages in $(1)"
	@command -v npm >/dev/null || { echo "npm is missing; install Node.js 20 or newer" >&2; exit 1; }
	@mkdir -p $(1)
	@cp $(2) $(1)/package.json
	@cd $(1) && npm install --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $$@
endef
$(eval $(call npm_packages,$(BROWSER)/page,examples/browser/package.json))
$(eval $(call npm_packages,$(BROWSER)/tests,tests/browser/package.json))
$(eval $(call npm_packages,$(TEXT_IN)/node,tests/text_input/node.json))

$(TEXT_IN)/c/ready: tests/text_input/prepare.py tests/text_input/host.cpp $(TEXT_IN)/python-newest/ready
	@echo "compiling for the C API in $(@D)"
	@$(BIN)/python tests/text_input/prepare.py $(@D) $(TEXT_IN)/python-newest
	@touch $@

$(BROWSER)/chromium: tests/tools/find_chromium.py | .venv-browser/ready
	@.venv-browser/bin/python tests/tools/find_chromium.py $(BROWSER)

# The emulated ARM machine. It is kept for the next run.
$(ARM64)/ready: pyproject.toml tests/arm64/prepare.py | .venv/ready
	@echo "preparing the emulated machine in $(ARM64)"
	@PYTHONPATH=tests:tests/support $(BIN)/python -m arm64.prepare $(ARM64)
