# Every target makes its own set-up in .venv; a second run finds it there and is quick.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
KERNEL6 := $(VENV)/ipykernel6

.PHONY: faults help setup pulumi browser demo lab test pythons lint format bench notebooks picture lock clean
.DEFAULT_GOAL := help

help:  ## Say what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(READY)  ## Make .venv with everything, at the versions of requirements.lock

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else "buildflow_nb needs Python 3.11 or later, this is %d.%d; set PYTHON=" % v[:2])'
	@echo "setting up .venv: about 200 packages, a minute or two, once"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

pulumi: $(READY)  ## Find Pulumi's program, download it, or build it (minutes, once, into the user's cache)
	@$(BIN)/python -m tools.pulumi_cli

browser: $(READY)  ## Find or install Chromium (Debian's, as root) and axe-core for the browser tests
	@$(BIN)/python -m tools.browser

$(KERNEL6)/.ready: tools/ipykernel6.lock tools/ipykernel6.py $(READY)
	@$(BIN)/python -m tools.ipykernel6
	@touch $@

demo: pulumi  ## Run the tutorials on real data, then the quickstart's export, and print what happened
	$(BIN)/python -m tools.demo

lab: pulumi  ## Open the quickstart in JupyterLab
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) notebooks/quickstart.ipynb

test: pulumi browser $(KERNEL6)/.ready lint  ## Run every check and every test; those of kernels on ipykernel 7 and 6
	$(BIN)/python -m pytest -n 2 --durations=10
	BUILDFLOW_IPYKERNEL=6.31 $(KERNEL6)/bin/python -m pytest -n 2 -m notebook tests/notebook tests/kernels

pythons: $(READY) pulumi  ## Run the tests on every Python that pyproject.toml names (all but the browser's and the engine's)
	$(BIN)/python -m tools.pythons

lint: $(READY)  ## Check style, types, layers and spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

format: $(READY)  ## Put the code in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: pulumi  ## Measure against peers; prints both sides and the ratio
	$(BIN)/python -m tests.benchmarks

faults: pulumi  ## Kill, fill, freeze, slow and poison everything, counting every element (20 minutes)
	$(BIN)/python -m tests.faults

notebooks: pulumi  ## Run the tutorials and save them with their outputs
	$(BIN)/python -m tools.notebooks

picture: browser  ## Take the README's picture and its recording in a real JupyterLab
	$(BIN)/python -m tools.picture
	$(BIN)/python -m tools.recording

lock: $(READY)  ## Resolve requirements.lock anew
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-header --no-annotate \
	  --generate-hashes --all-extras --group dev pyproject.toml -o requirements.lock

clean:  ## Remove what set-up made
	rm -rf $(VENV)
