# Shortcuts. Everything runs in .venv, which manage.py makes.
PY := .venv/bin/python
BIN := .venv/bin

.PHONY: help up test check lint types contracts migrations templates lock bench venv

help:            ## this list
	@grep -E '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

venv:            ## .venv with everything that checks and tests need
	@python3 manage.py test --prepare

up: ## start guardsite on this machine
	python3 manage.py up

test: ## all tests
	python3 manage.py test -n 2

check: lint types contracts migrations templates ## the gate: lint, types, import contracts, migrations, templates, tests
	python3 manage.py test -n 2

lint: venv ## ruff: lint and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: venv ## mypy, strict
	$(BIN)/mypy guardsite reviews policy tenants audit sdk/mcpguard_sdk demo tests

contracts: venv ## import-linter
	PYTHONPATH=sdk $(BIN)/lint-imports

migrations: venv ## every model change has its migration
	DJANGO_SETTINGS_MODULE=tests.settings $(PY) -W ignore::RuntimeWarning -m django makemigrations --check --dry-run --skip-checks

templates: venv ## djlint
	$(BIN)/djlint templates --lint --quiet

bench: venv ## how fast policy decides and the desk's pages are, as ratios in one run
	$(PY) -m bench.policy
	$(PY) -m bench.cards
	$(PY) -m bench.queue

lock: venv ## compile requirements*.txt with hashes
	for name in requirements requirements-demo requirements-dev; do \
	  $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes $$name.in -o $$name.txt; done
