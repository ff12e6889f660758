# make table   measure, print the table        make test   every check and test
# Both set up what is missing first: Debian packages with apt, a virtual environment in .venv.

PYTHON ?= python3
PROFILE ?= quick
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

.DEFAULT_GOAL := help
.PHONY: help setup packages table test lint types unit system peers doctor clean-host

help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: packages $(STAMP) ## install what is missing

packages:
	@setup/packages setup/packages.txt

peers: ## install the peers: crun, runc, podman, docker
	@setup/packages setup/peers.txt

$(STAMP): pyproject.toml
	@echo "setting up $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is older than 3.11: make PYTHON=python3.11 …" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

table: setup ## measure containers and machines, print the table
	@$(SUDO) $(BIN)/tonnage table --profile $(PROFILE) $(ARGS)

doctor: setup ## what this host can measure
	@$(SUDO) $(BIN)/tonnage doctor $(ARGS)

test: lint types unit system ## lint, types and every test

lint: setup
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: setup
	@$(BIN)/mypy

unit: setup
	@$(BIN)/pytest tests --ignore tests/system $(ARGS)

system: setup
	@if [ "$$(id -u)" = 0 ]; then $(BIN)/pytest tests/system $(ARGS); \
	else echo "tests/system is skipped: it needs root (sudo make test)"; fi

clean-host: setup ## remove what killed runs have left
	@$(SUDO) $(BIN)/tonnage clean
