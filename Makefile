# Baitwell: what one does with it. `make` alone prints this list.
# A line "##@ Title" opens a group; a "## text" after a target is its line of help.

.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
# Which Python builds the environment: make PYTHON=/path/to/python3
PYTHON ?=
# More words for the program that a target starts: make test ARGS="tests/push -x"
ARGS ?=
# How many tests run at once.
WORKERS ?= auto

RUN = exec $(VENV)/bin/python
export PYTHON

.PHONY: help run run-scaled demo test check bench chaos docs format clean environment tools
.NOTPARALLEL:

help:
	@awk 'BEGIN { FS = ":.*## "; print "usage: make TARGET [ARGS=...] [PYTHON=...]" } \
	    /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	    /^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Use
run: environment ## everything in one process on http://localhost:8000
	@$(RUN) -m services run all $(ARGS)

run-scaled: tools ## Kafka, PostgreSQL and four services on this machine, without Docker
	@$(RUN) -m deploy.scaled $(ARGS)

demo: environment ## a week of a small company in a minute, left running to look at
	@$(RUN) -m services demo $(ARGS)

##@ Change
test: tools ## all tests; what could not run is named at the end
	@$(RUN) -m pytest -n $(WORKERS) --maxprocesses 4 --dist loadfile $(ARGS)

check: tools ## style, types, imports, migrations, documents, budgets, licences
	@$(RUN) -m checks $(ARGS)

format: tools ## let ruff mend what it can
	@$(VENV)/bin/ruff check --fix-only --quiet . && exec $(VENV)/bin/ruff format .

docs: tools ## write the generated documents anew
	@$(RUN) -m services docs $(ARGS)

##@ Measure
bench: tools ## speed and size against references, to build/bench.json
	@$(RUN) -m bench $(ARGS)

chaos: tools ## crashes, outages and their checker (FULL=1, SABOTAGE=1, GO_ON=1; LIST=1: how long)
	@$(RUN) -m tests.chaos $(ARGS)

##@ Tidy
clean: ## remove the environment and all that was built; data/ stays
	@rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What the targets above stand on; fast when nothing changed.
environment:
	@requirements/environment.sh run

tools:
	@requirements/environment.sh dev
