# Headrace: every command a developer needs. Each makes what it needs first, in .venv, and only
# when it is missing or older than pyproject.toml and constraints.txt; nothing outside .venv is
# installed into, so a system Python that refuses installs (PEP 668) does not matter.
#
#   make demo                    a chat model streams on your terminal
#   make PYTHON=python3.13 test  with another Python (3.11 or newer)
#   make VENV=/somewhere test    with another environment
#   make PROCESSES=8 test        all tests in more processes than two

PYTHON ?= python3
VENV ?= .venv
PROCESSES ?= 2
SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test lint format bench docs cover clean

export PIP_USER := 0
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# --compile: whatever the machine's settings say, write bytecode now and not at each first import.
INSTALL = $(PIP) install --compile -qq -c constraints.txt
INPUTS := pyproject.toml constraints.txt
TYPED = src tools $(wildcard tests/typing)
CHECKS = "ruff check ." "ruff format --check ." "mypy $(TYPED)" \
	"pyright --pythonpath $(BIN)/python $(TYPED)" "python tools/check_floors.py"

help:  ## what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

demo: $(VENV)/.stamp-local  ## the embedded model streams an answer, token by token
	$(BIN)/headrace stream "what color is the sky?"

test: $(VENV)/.stamp-dev  ## all tests, in two processes; ARGS="-k json -x" goes to pytest, in one
	$(BIN)/python -m pytest $(if $(ARGS),$(ARGS),-n $(PROCESSES) --dist worksteal)

# All of it, whatever fails first, so that one run shows everything.
lint: $(VENV)/.stamp-dev  ## style, types, floors and sizes
	@failed=; for check in $(CHECKS); do \
		echo "$$check"; $(BIN)/$$check || failed="$$failed [$$check]"; \
	done; test -z "$$failed" || { echo "lint failed:$$failed"; exit 1; }

format: $(VENV)/.stamp-dev  ## rewrite the files in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.stamp-bench  ## Headrace beside langchain-core and hand-written generators
	$(BIN)/python -m benchmarks $(ARGS)
	@test -n "$(ARGS)" || for each in providers agents retrieval; do \
		$(BIN)/python -m benchmarks.$$each || exit 1; \
	done

docs: $(VENV)/.stamp-docs  ## the documentation as a site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "open site/index.html"

cover: $(VENV)/.stamp-dev  ## which lines the tests run
	$(BIN)/coverage run -m pytest $(ARGS)
	$(BIN)/coverage report

clean:  ## remove what was made here, .venv too
	rm -rf $(VENV) build dist site htmlcov .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find $(wildcard src tests tools benchmarks docs) -name __pycache__ -prune -exec rm -rf {} +

# ---- the environment --------------------------------------------------------------------------
# One stamp file per set of installs. An existing environment is used as it is.

$(VENV)/.stamp-venv:
	@$(SHELL) tools/make_venv.sh "$(VENV)" "$(PYTHON)"
	@touch $@

$(VENV)/.stamp-local: $(VENV)/.stamp-venv $(INPUTS)
	@echo "installing Headrace and llama.cpp into $(VENV) (once)"
	@$(INSTALL) -e '.[local]'
	@touch $@

# langchain-core declares a certifi that a registry may not have yet, hence --no-deps: what these
# need is in the `compare` extra, which dev and bench bring.
COMPARED := langchain-core langchain-openai langchain-anthropic langchain \
	langgraph langgraph-checkpoint langgraph-prebuilt langgraph-sdk
COMPARED_IN_TESTS := $(COMPARED) langchain-mistralai langchain-groq langchain-text-splitters

$(VENV)/.stamp-dev: $(VENV)/.stamp-venv $(INPUTS)
	@echo "installing Headrace and what its tests and checks need into $(VENV) (once)"
	@$(INSTALL) -e '.[dev]'
	@$(INSTALL) --no-deps $(COMPARED_IN_TESTS)
	@touch $@

$(VENV)/.stamp-bench: $(VENV)/.stamp-venv $(INPUTS)
	@echo "installing Headrace and what it is measured against into $(VENV) (once)"
	@$(INSTALL) -e '.[bench]'
	@$(INSTALL) --no-deps $(COMPARED)
	@touch $@

$(VENV)/.stamp-docs: $(VENV)/.stamp-venv $(INPUTS)
	@echo "installing what builds the documentation into $(VENV) (once)"
	@$(INSTALL) -e '.[docs]'
	@touch $@
