# The two commands of the README: `make demo` and `make test`. Each sets up .venv by itself.

# The first Python found that the package supports; choose another with `make test PYTHON=...`.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null \
	&& echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt
# Each test process computes on one core; the processes share the machine between them.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

.PHONY: demo test pytest test-all test-machines lint docs notebooks clean

demo: $(VENV)/.package
	$(BIN)/hybridq demo

# Style, types and imports are checked beside the tests: they use one core, the tests two.
test: $(VENV)/.test
	$(MAKE) --no-print-directory -j 2 lint pytest

pytest: $(VENV)/.test
	$(PYTEST) -m "not slow"

test-all: lint
	$(PYTEST)

# What trains, with the instructions and threads of other machines.
test-machines: $(VENV)/.test
	$(BIN)/python tests/machines.py

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

docs: $(VENV)/.test
	$(BIN)/sphinx-build -W -b html docs docs/_build/html

# Runs every notebook in full, writes its outputs in place, and leaves the pairs in step.
notebooks: $(VENV)/.notebooks
	$(BIN)/jupytext --sync notebooks/[0-9]*.py
	OMP_NUM_THREADS=1 $(BIN)/python notebooks/execute.py

$(VENV)/.python:
	@test -n "$(PYTHON)" || { echo "Expected Python 3.11, 3.12 or 3.13 on the PATH, got none:" \
		"install one, or name it with PYTHON=..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.package: $(VENV)/.python pyproject.toml constraints.txt
	$(INSTALL) --editable .
	touch $@

$(VENV)/.test: $(VENV)/.python pyproject.toml constraints.txt
	$(INSTALL) --editable ".[test]"
	touch $@ $(VENV)/.package

$(VENV)/.notebooks: $(VENV)/.python pyproject.toml constraints.txt
	$(INSTALL) --editable ".[notebooks]"
	touch $@ $(VENV)/.package

clean:
	rm -rf $(VENV) docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis
