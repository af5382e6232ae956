# Everything runs in .venv, which is made the first time it is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install train test slow torture fuzz check bench format docs

help: ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

install: $(STAMP) ## make .venv and install rnnsent into it, with what its tests need

$(STAMP): pyproject.toml $(wildcard rnnsent/engine/native/*)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

train: install ## train configs/lstm.yaml
	$(BIN)/rnnsent train --config configs/lstm.yaml

test: install ## run the tests but for the slow ones
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

slow: install ## run the slow tests: many processes, a browser, trackers, simulations
	$(BIN)/python -m pytest -n 2 --dist loadfile -m slow

torture: install ## kill trainings and commands, damage files, take away disk and clock: see that nothing is lost; two hours
	$(BIN)/python -m tests.torture.kills /tmp/rnnsent-torture
	$(BIN)/python -m tests.torture.commands /tmp/rnnsent-torture
	$(BIN)/python -m tests.torture.rows /tmp/rnnsent-torture
	$(BIN)/python -m tests.torture.damage /tmp/rnnsent-torture
	$(BIN)/python -m tests.torture.surroundings /tmp/rnnsent-torture

fuzz: install ## feed every reader with 100,000 damaged and forged files; ten minutes
	$(BIN)/python -m tests.fuzz

check: install ## lint, formatting, types, import order, words
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.words

bench: install ## race against stock Keras on the real reviews; fails where rnnsent is not 6 times as fast
	$(BIN)/python -m benchmarks race --peer keras --epochs 3 --require 6

format: install ## put the code into its standard form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: install ## write docs/cli.md, docs/config.md and configs/schema.json anew
	$(BIN)/python docs/generate.py
