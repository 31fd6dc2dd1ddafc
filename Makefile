# Two commands matter: `make up` and `make test`. Each does its own set-up on a fresh machine. `make help` lists the rest.

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
EXTRAS := attention,service,client,dashboard,postgres,distributed,runner,dev
PYTEST := $(BIN)/python -m pytest
DEMO ?= $(CURDIR)/.perfsvc/demo

.PHONY: help up demo test test-long check format lock migration evaluate bench-quick bench-full bench-suites bench-store bench-pairs browser clean

help: ## what there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

up: $(STAMP) ## install, measure the newest commits, start runner, scheduler, API and dashboard; Ctrl-C stops it
	@$(BIN)/perfsvc up

demo: $(STAMP) ## a throwaway history with a planted slowdown and a planted wrong result, measured for real
	@$(BIN)/python -m perfsvc.selftest demo --mutants tests/mutants --folder $(DEMO)

test: $(STAMP) browser ## every test but the long ones, on two processes
	@$(PYTEST) -m "not long" -n 2 --dist loadfile

test-long: $(STAMP) browser ## the tests that take minutes each
	@$(PYTEST) -m long

check: $(STAMP) ## style, types, floors
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(STAMP) ## put the code into shape
	@$(BIN)/ruff check --fix-only -q .
	@$(BIN)/ruff format .

lock: ## write constraints.txt from a fresh environment (torch stands apart, in constraints-torch.txt)
	@tools/lock $(PYTHON) '$(EXTRAS)'

migration: $(STAMP) ## write the baseline revision anew from tables/ (until 0.1.0)
	@$(BIN)/python tools/baseline.py

evaluate: $(STAMP) ## how good is the detector, beside others? TREES="..." for real histories (a quarter of an hour)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps ruptures==1.1.10 apache-otava==0.8.0
	@nice $(BIN)/python -m tools.evaluation $(if $(TREES),--trees $(TREES)) --pictures docs/pictures

bench-quick: $(STAMP) ## measure this commit on the quick grid, once more
	@$(BIN)/perfsvc measure --commits HEAD --again

bench-full: $(STAMP) ## measure this commit on the full grid
	@$(BIN)/perfsvc measure --commits HEAD --grid full --again

bench-suites: $(STAMP) ## the figures that the suites must reach (a night; PART=quick|full|aa|five-percent|setup for one)
	@$(BIN)/python -m tools.bench_suites $(if $(PART),--part $(PART))

bench-store: $(STAMP) ## how fast and how large the store is, beside its targets and asv publish (most of an hour; SIZE=0.1)
	@$(BIN)/python -m tools.bench_store --size $(or $(SIZE),1)

bench-pairs: $(STAMP) ## does `asv continuous` tell the truth here? unchanged, 50 % and 20 % slower pairs (an hour)
	@$(BIN)/python tools/asv_pairs.py

browser:
	@tools/browser

$(STAMP): pyproject.toml constraints.txt constraints-torch.txt
	@test -n "$(PYTHON)" || { echo "perfsvc needs Python 3.11 or newer; none found on PATH (set PYTHON=...)"; exit 2; }
	@command -v git >/dev/null || { echo "perfsvc needs git on PATH"; exit 2; }
	@test -x $(BIN)/python || { echo "making $(VENV) with $(PYTHON)"; $(PYTHON) -m venv $(VENV); }
	@echo "installing (the first time takes a few minutes)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -r constraints-torch.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@

clean: ## remove the environment and what was measured here
	rm -rf $(VENV) .asv .perfsvc build dist
