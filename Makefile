# `make help` lists the targets. Needs only Python 3.11+, pip and make; uses uv where it is found.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
ifneq ($(UV),)
INSTALL := VIRTUAL_ENV=$(VENV) uv pip install --quiet
else
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
endif
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header

.DEFAULT_GOAL := help
.PHONY: help venv demo test check format docs bench mutants lock workstation

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

$(VENV)/.demo: requirements/server.txt pyproject.toml
	@$(MAKE) --no-print-directory _install LOCK=requirements/server.txt
	@touch $@

# Everything for development is more than everything for the demo.
$(VENV)/.dev: requirements/dev.txt requirements/server.txt pyproject.toml
	@$(MAKE) --no-print-directory _install LOCK=requirements/dev.txt
	@touch $(VENV)/.demo $@

.PHONY: _install
_install:
	@echo "installing $(LOCK) into $(VENV)"
ifneq ($(UV),)
	@test -x $(BIN)/python || uv venv --quiet --python $(PYTHON) $(VENV)
	@$(INSTALL) --compile-bytecode --require-hashes --only-binary :all: -r requirements/build.txt -r $(LOCK)
else
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(INSTALL) --compile --require-hashes --only-binary :all: -r requirements/build.txt -r $(LOCK)
endif
	@$(INSTALL) --no-build-isolation --no-deps --editable .

venv: $(VENV)/.dev ## make .venv with everything for development

demo: $(VENV)/.demo ## start everything on this machine and say how to try it
	@exec $(BIN)/broker demo

test: $(VENV)/.dev ## run the offline test suite
	$(BIN)/python -m pytest

check: $(VENV)/.dev ## lint, types, import contract
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/house

format: $(VENV)/.dev ## put the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.dev ## write the documents that are made from the code
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/translate.py

bench: $(VENV)/.dev ## measure; ONLY=resolve,lease narrows it
	$(BIN)/python benchmarks/run.py ONLY=$(ONLY)

mutants: $(VENV)/.dev ## remove each marked security check in turn: every removal must turn a test red
	$(BIN)/python tests/mutants.py

workstation: $(VENV)/.dev ## build the aws-broker program: a wheel of its own, and the single file, into dist/
	cd deploy/workstation && $(CURDIR)/$(BIN)/python -m hatchling build -t wheel -d $(CURDIR)/dist
	$(BIN)/python -c 'import pathlib, broker.web.pyz as pyz; pathlib.Path("dist/aws-broker.pyz").write_bytes(pyz.build_pyz())'

lock: ## write the hash-locked requirements anew (needs uv)
	$(COMPILE) --group build pyproject.toml -o requirements/build.txt
	$(COMPILE) --extra server pyproject.toml -o requirements/server.txt
	$(COMPILE) --extra server --group dev pyproject.toml -o requirements/dev.txt
	$(COMPILE) requirements/ministack.in -o requirements/ministack.txt
