# Everything happens in .venv beside this file; only Python 3.10 or newer and make are needed.
PYTHON ?= python3
BIN := .venv/bin
UV := $(shell command -v uv 2>/dev/null || echo $(BIN)/uv)

.PHONY: help demo test test-all lint setup docs benchmark clean
.DEFAULT_GOAL := help

help:
	@echo "make demo      set up, train on handwritten digits, show what was learned"
	@echo "make test      set up and run the tests"
	@echo "make test-all  also the slow ones"
	@echo "make setup     make .venv with the command tacit in it"
	@echo "make lint      ruff and mypy"
	@echo "make docs      build the documentation into site/"
	@echo "make clean     remove .venv and what was built"

demo: setup
	@$(BIN)/python -m tacit demo

setup: .venv/.installed

test: .venv/.installed-test
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

test-all: .venv/.installed-test
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal -m "slow or not slow"

lint: .venv/.installed-test
	@$(BIN)/python -m ruff check src tests benchmarks docs
	@$(BIN)/python -m ruff format --check src tests benchmarks docs
	@$(BIN)/python -m mypy

docs: .venv/.installed-docs
	@$(BIN)/python -m mkdocs build --strict

# uv is used where it is installed, else fetched into the environment
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "tacit needs Python 3.10 or newer; say make PYTHON=/path/to/python3")'
	@if [ "$(UV)" = "$(BIN)/uv" ]; then \
	  $(PYTHON) -m venv .venv && $(BIN)/python -m pip install --quiet --disable-pip-version-check uv; \
	else \
	  "$(UV)" venv --quiet --allow-existing --python "$(PYTHON)" .venv; \
	fi

.venv/.installed: $(BIN)/python pyproject.toml
	@"$(UV)" pip install --quiet --compile-bytecode --python $(BIN)/python --editable .
	@touch $@

.venv/.installed-test: $(BIN)/python pyproject.toml
	@"$(UV)" pip install --quiet --compile-bytecode --python $(BIN)/python --editable ".[test]"
	@touch $@ .venv/.installed

.venv/.installed-docs: $(BIN)/python pyproject.toml
	@"$(UV)" pip install --quiet --compile-bytecode --python $(BIN)/python --editable ".[docs]"
	@touch $@ .venv/.installed

clean:
	rm -rf .venv site build dist
