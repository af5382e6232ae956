# Everything runs in .venv, which is made the first time it is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable
SOURCES := pyproject.toml $(wildcard rnnsent/engine/native/*)

.DEFAULT_GOAL := help
.PHONY: help install train test coverage slow torture check bench format docs

help: ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

$(VENV)/.runtime: $(SOURCES)
	$(PYTHON) -m venv $(VENV)
	$(PIP) .
	@touch $@

$(VENV)/.dev: $(SOURCES)
	$(PYTHON) -m venv $(VENV)
	$(PIP) '.[dev]'
	@touch $@ $(VENV)/.runtime

install: $(VENV)/.dev ## make .venv with rnnsent and what its developers need

train: $(VENV)/.runtime ## train configs/lstm.yaml; installs what training needs, and no more
	$(BIN)/rnnsent train --config configs/lstm.yaml

test: install ## run the tests except the slow ones
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

coverage: install ## the same, and how much of the package they run; fails below 90 %
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" --cov=rnnsent --cov-fail-under=90

slow: install ## run the slow tests: simulations, sanitizers, kills, races, the real reviews
	$(BIN)/python -m pytest -n 2 --dist loadfile -m slow

torture: install ## kill trainings 200 times and compare the bits of what they end with; half an hour
	$(BIN)/python -m tests.torture.kills /tmp/rnnsent-torture

check: install ## lint, formatting, types, import order, words
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.words

bench: install ## race against stock Keras on the real reviews; fails if rnnsent is not 6 times as fast
	$(BIN)/python -m benchmarks race --peer keras --epochs 3 --require 6

format: install ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: install ## write docs/cli.md, docs/config.md and configs/schema.json
	$(BIN)/python docs/generate.py
