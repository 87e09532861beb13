# `make` lists the commands. They create .venv and install the locked packages when needed.
.DEFAULT_GOAL := help
.PHONY: help run runner test quick slow sandbox agents check lint types demo bench load chaos lock clean ready ready-dev

export PYTHON
# Without bytecode files, each of the tests' many processes would compile the project again.
unexport PYTHONDONTWRITEBYTECODE
python := .venv/bin/python
tests ?=
options ?=
rounds ?= 20
seed ?= 1
database ?= both
# Slow tests that measure time or stop shared processes.
alone := tests/browser/console/test_large_report.py tests/proxy/test_load.py $(patsubst \
	%,tests/live/test_%.py,concurrency connections database_outage disk_full erased_files ingest_during_close \
	locked_address monitoring pgbouncer reload stop_under_load tools upgrade)

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: ready ## Start the database, the web process and the worker (PORT=8000, Ctrl-C stops them)
	@exec $(python) -I -S tools/scripts/run_with_parent.py $$PPID SIGTERM - $(CURDIR)/$(python) -m tools.scripts.run

runner: ready ## Run submissions' hidden tests for RUNNER_URL with RUNNER_TOKEN (options=--help for more)
	@exec $(python) -m runner $(options)

demo: ready ## Start a service with sample data; Ctrl-C deletes it (PORT=8000)
	@exec $(python) -I -S tools/scripts/run_with_parent.py $$PPID SIGTERM - $(CURDIR)/$(python) -m tools.demo

test: ready-dev ## Run the quick tests (tests=tests/access/test_auth.py selects some)
	$(python) -m pytest -n auto -m "not slow" $(tests)

quick: ready-dev ## Run the conventions, the rules, and the quick tests of your changes
	$(python) -m pytest -n auto -m "not slow" tests/test_conventions.py tests/rules $$($(python) -m tools.scripts.changed_tests)

slow: ready-dev ## Run the slow tests: first in parallel, then those that measure time
	$(if $(tests),,$(python) -m pytest -n auto --dist loadgroup -m slow $(addprefix --ignore=,$(alone)))
	$(python) -m pytest -m slow $(or $(tests),$(alone))

sandbox: ready-dev ## Run all hostile submissions on bubblewrap and podman (slow runs a third)
	SANDBOX=all $(python) -m pytest -m slow tests/runner

agents: ready-dev ## Run Claude Code, Codex and opencode against the service (needs node; part of slow)
	$(python) -m pytest tests/agents

check: lint types test ## Run lint, types and test

lint: ready-dev ## Check style and format (ruff)
	$(python) -m ruff check .
	$(python) -m ruff format --check .

types: ready-dev ## Check types (mypy)
	$(python) -m mypy

bench: ready-dev ## Run the benchmarks (options=--help for more)
	$(python) -m tools.benchmarks $(options)

load: ready-dev ## Measure hundreds of model calls and working candidates (options="--minutes 60")
	$(python) -m tools.load $(options)

chaos: ready-dev ## Inject faults under load and verify the data (rounds=20 seed=1 database=sqlite|postgresql|both)
	$(python) -m tools.chaos --rounds $(rounds) --seed $(seed) --database $(database)

lock: ## Update the locked packages (needs uv and npm)
	uv pip compile --quiet --upgrade $(lock_options) setup.cfg -o requirements.txt
	uv pip compile --quiet --upgrade $(lock_options) setup.cfg --extra test --extra dev -c requirements.txt -o requirements-dev.txt
	uv pip compile --quiet --upgrade $(lock_options) tests/clients/requirements.in -o tests/clients/requirements.txt
	cd tests/clients && npm update --package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund
	cd tests/agents && npm update --package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund
	rm -rf proofstone.egg-info

lock_options := --generate-hashes --universal --python-version 3.11 --no-emit-index-url --custom-compile-command "make lock"

clean: ## Delete .venv and caches; data in var/ stays
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

ready:
	@sh tools/scripts/setup.sh requirements.txt

ready-dev:
	@sh tools/scripts/setup.sh requirements.txt requirements-dev.txt
