# The two commands a newcomer needs: `make demo` and `make test`. Both set everything up themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help setup demo test test-long format lint types layers unit wheel schemas clean

help:            ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

setup: $(STAMP)  ## make .venv with the pinned install (a second run skips it)

# torch stands in the same pip command as all that needs it: that keeps one build of it.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch==2.13.0 --editable ".[dev]"
	touch $@

demo: setup      ## simulate, ingest, train, evaluate, screen, report: the whole path in a few minutes
	$(BIN)/clinic-mm demo --out demo

# The types take a minute of one core: they are checked beside the tests.
test: setup      ## all that CI runs, under 8 minutes
	$(MAKE) --no-print-directory --jobs 2 format-check lint layers types unit

test-long: setup ## the long runs
	$(BIN)/python -m pytest -m long

format: setup    ## put the code into form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: format-check
format-check: setup
	$(BIN)/ruff format --check .

lint: setup
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy

layers: setup
	$(BIN)/lint-imports

# One thread each: two processes with two threads each on two cores take a third longer. Three processes, since a server,
# a browser or a killed command is waited for; in the order of folders, or the files with few but long tests come last.
unit: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not long" -n 3 --dist loadscope --no-loadscope-reorder

# Each writes its own section; those of PhysioNet 2012 need ../shared/data and take two of the four hours.
TRUST := coverage calibration pointing outside leaks monitoring monitoring_stays advice "saliency --work runs/saliency" \
	"coverage --part stays" "calibration --part stays"
.PHONY: trust
trust: setup     ## the figures of docs/trust.md anew, about four hours of one core
	for name in $(TRUST); do $(BIN)/python -m benchmarks.$$name --page docs/trust.md || exit 1; done

schemas: setup   ## write schemas/*.schema.json anew from the models
	$(BIN)/python -m clinic_mm.schema_files

wheel: setup     ## build the wheel into dist/
	$(BIN)/python -m build --wheel

clean:           ## remove the environment and what the demo wrote
	rm -rf $(VENV) demo dist build
