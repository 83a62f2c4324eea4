# Everything is in tools/bootstrap (plain Python); `make help` lists the verbs.
PYTHON ?= python3
BOOTSTRAP = $(PYTHON) '$(CURDIR)/tools/bootstrap'

.PHONY: help up down setup env demo-model test lint requirements recording clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1: /p' '$(CURDIR)/Makefile' | sed 's/\$$\$$/$$/'

up: ## install what is missing, deploy the demo stack, say how to call it
	@$(BOOTSTRAP) up

down: ## remove the demo deployment
	@$(BOOTSTRAP) down

setup: ## install what is missing, deploy nothing
	@$(BOOTSTRAP) setup

env: ## print shell lines: eval "$$(make -s env)" puts pulumi and enginehouse on PATH
	@$(BOOTSTRAP) env

demo-model: ## download the demo weights
	@$(BOOTSTRAP) demo-model

test: ## run all tests, or a part: make test ARGS="tests/unit -k planner"
	@$(BOOTSTRAP) test -- $(ARGS)

lint: ## ruff and mypy --strict
	@$(BOOTSTRAP) lint

requirements: ## write requirements*.txt anew from pyproject.toml
	@$(BOOTSTRAP) requirements

recording: ## play the session in README.md anew and write docs/session.svg
	@cd '$(CURDIR)' && PYTHONPATH=tools:infra:. .venv/bin/python -m recording

clean: ## remove the virtual environment and caches of this clone
	@$(BOOTSTRAP) clean
