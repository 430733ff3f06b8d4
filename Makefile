# One command for everything; each target does its own set-up on a fresh machine with Python 3.11 or 3.12.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
export RAY_USAGE_STATS_ENABLED := 0

.PHONY: help setup demo test test-all lint format bench lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY) ## make the virtual environment with the locked versions

# Debian and Ubuntu ship Python without venv: where it is missing it is installed from the distribution.
$(READY): requirements.lock pyproject.toml
	@python=$$(command -v python3.11 || command -v python3.12 || command -v python3); \
	"$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' || \
	  { echo "Python 3.11 or 3.12 is needed; found $$("$$python" --version)" >&2; exit 2; }; \
	if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
	  sudo=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	  $$sudo apt-get update -qq && $$sudo apt-get install -y -qq python3-venv "$$("$$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"; \
	fi; \
	echo "Installing the locked packages into $(VENV) (about a minute) ..."; \
	"$$python" -m venv --clear $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

demo: $(READY) ## the closed loop on 7,043 real customers over HTTP, judged against the truth
	$(VENV)/bin/nba demo

test: $(READY) ## the quick tests, real parts included
	$(PY) -m pytest -n 2 --dist worksteal -m "not slow"

test-all: $(READY) ## every test, the slow statistics included
	$(PY) -m pytest

lint: $(READY) ## style, types and layering
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

format: $(READY) ## let the formatter and the linter mend what they can
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

bench: $(READY) ## benchmarks, as ratios against a peer in the same run
	$(PY) -m experiments.bench

lock: $(READY) ## write requirements.lock anew: names, versions, hashes, no addresses
	$(PY) -m pip install --quiet pip-tools
	$(VENV)/bin/pip-compile --quiet --extra dev --generate-hashes --allow-unsafe --strip-extras --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --output-file requirements.lock pyproject.toml
	sed -i '/^ *#/d' requirements.lock

clean: ## remove what the targets made
	rm -rf $(VENV) demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
