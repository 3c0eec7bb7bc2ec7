# One command a habit. `make demo` and `make test` need nothing but Python 3.11+ with pip.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := envs/requirements.lock
SNAKEMAKE := $(BIN)/snakemake
CORES ?= $(shell nproc)
FERRARI_SHARED ?= ../shared
export FERRARI_SHARED

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-clean test test-slow test-real test-gpu real lint format lock clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.ready ## set up .venv from the lock

$(VENV)/.ready: $(LOCK)
	@command -v uv >/dev/null || $(PYTHON) -m uv --version >/dev/null 2>&1 \
	  || $(PYTHON) -m pip install --quiet uv \
	  || $(PYTHON) -m pip install --quiet --user --break-system-packages uv
	@UV="$$(command -v uv || echo "$(PYTHON) -m uv")"; \
	  test -x $(BIN)/python || $$UV venv --quiet --python $(PYTHON) $(VENV); \
	  $$UV pip sync --quiet --require-hashes --python $(BIN)/python $(LOCK)
	@$(BIN)/python -c "from scripts.lib.backends.pymatting_parts import load; load()"  # compiles once
	@touch $@

demo: $(VENV)/.ready ## synthetic clips through the whole pipeline, under demo/
	@mkdir -p demo
	@test -f demo/truth.json || $(BIN)/python -m tests.generator demo/dataset/00_raw_videos --truth demo/truth.json
	@cd demo && ../$(SNAKEMAKE) --snakefile ../Snakefile --configfile ../config/demo.yaml --cores $(CORES) --quiet rules host
	@$(BIN)/python -m scripts.say_where demo

demo-clean: ## remove the demo's clips, dataset and reports
	rm -rf demo

test: $(VENV)/.ready ## the tests (minutes)
	$(BIN)/python -m pytest -m "not slow and not real and not gpu"

test-slow: $(VENV)/.ready ## the tests that take longer
	$(BIN)/python -m pytest -m slow

test-real: $(VENV)/.ready ## the tests on real footage and weights (FERRARI_SHARED)
	$(BIN)/python -m pytest -m real

test-gpu: $(VENV)/.ready ## the tests that need an NVIDIA GPU
	$(BIN)/python -m pytest -m gpu

real: $(VENV)/.ready ## the pipeline on the real footage under FERRARI_SHARED, into real/
	$(BIN)/python -m scripts.prepare_real $(FERRARI_SHARED) real
	cd real && ../$(SNAKEMAKE) --snakefile ../Snakefile --configfile real.yaml --cores $(CORES) --resources gpu=1 --quiet rules host
	@$(BIN)/python -m scripts.say_where real

lint: $(VENV)/.ready ## ruff, snakefmt, snakemake --lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/python -m tests.lint_workflow

format: $(VENV)/.ready ## format Python and the rules
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

lock: ## resolve the lock anew (needs uv)
	uv pip compile pyproject.toml --extra dev --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header -o $(LOCK)

clean: ## remove caches; datasets and reports stay
	rm -rf .snakemake .pytest_cache .ruff_cache cache
