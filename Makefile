# `make` lists the commands. Each makes .venv and installs the locked packages first, once.
.DEFAULT_GOAL := help
.PHONY: help run test slow check lint types demo bench chaos soak lock clean ready ready-dev

export PYTHON
python := .venv/bin/python
tests ?=
options ?=
rounds ?= 20
seed ?= 1
database ?= both
minutes ?= 60
rate ?= 50

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: ready ## Start Proofstone: database, web process and worker (PORT=8000, Ctrl-C stops it)
	@exec $(python) -I -S tools/scripts/tether.py $$PPID SIGTERM - $(CURDIR)/$(python) -m tools.scripts.run

demo: ready ## Twelve simulated candidates against a throw-away service
	@exec $(python) -m flask demo

test: ready-dev ## The quick tests (tests=tests/test_auth.py for some of them)
	$(python) -m pytest -n auto -m "not slow" $(tests)

slow: ready-dev ## The tests that take longer
	$(python) -m pytest -m slow $(tests)

check: lint types test ## What has to pass before a change is shared: lint, types, test

lint: ready-dev ## Style, and mistakes that can be seen without running
	$(python) -m ruff check .
	$(python) -m ruff format --check .

types: ready-dev ## Types
	$(python) -m mypy

bench: ready-dev ## The benchmarks, beside a bare WSGI application (options=--help for profile, growth, memory)
	$(python) -m tools.benchmarks $(options)

chaos: ready-dev ## Faults against real processes under load (rounds=20 seed=1 database=sqlite|postgresql|both)
	$(python) -m tools.chaos --rounds $(rounds) --seed $(seed) --database $(database)

soak: ready-dev ## A steady load with restarts, and what the memory does (minutes=60 rate=50)
	$(python) -m tools.chaos.soak --minutes $(minutes) --rate $(rate)

lock: ## Lock the packages again from setup.cfg (needs uv)
	uv pip compile --quiet --upgrade $(lock_options) setup.cfg -o requirements.txt
	uv pip compile --quiet --upgrade $(lock_options) setup.cfg --extra test --extra dev -c requirements.txt -o requirements-dev.txt
	rm -rf proofstone.egg-info

lock_options := --universal --python-version 3.11 --no-emit-index-url --custom-compile-command "make lock"

clean: ## Remove the virtual environment and caches; data in var/ stays
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

ready:
	@sh tools/scripts/setup.sh requirements.txt

ready-dev:
	@sh tools/scripts/setup.sh requirements.txt requirements-dev.txt
