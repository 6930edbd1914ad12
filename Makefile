# Every target does its own set-up: Python 3.11 or later, git and make are all that is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= runs/demo
export PYTHONUNBUFFERED := 1

.PHONY: install demo test test-slow lint format bench bench-digits bench-mnist bench-parameterisations bench-trajectory bench-kernels bench-selection clean

# The stamp is newer than what it was made from, so that an install is done once.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

install: $(VENV)/.installed

demo: install
	$(BIN)/attar demo --out $(OUT)

test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m 'not slow'

test-slow: install
	$(BIN)/python -m pytest -m slow

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install
	$(BIN)/python -m benchmarks

# Comparisons: each goes on where it was stopped. All but the digits need their data in ATTAR_DATA. More of one, for instance:
# make bench-mnist MORE='--seeds 5 --per-class 1,10,50 --workers 2'
MORE ?=
bench-digits: install
	$(BIN)/python -m benchmarks.studies digits $(MORE)

bench-mnist: install
	$(BIN)/python -m benchmarks.studies mnist $(MORE)

bench-parameterisations: install
	$(BIN)/python -m benchmarks.studies parameterisations $(MORE)

bench-trajectory: install
	$(BIN)/python -m benchmarks.studies trajectory $(MORE)

bench-kernels: install
	$(BIN)/python -m benchmarks.studies kernels $(MORE)

bench-selection: install
	$(BIN)/python -m benchmarks.studies selection-mnist selection-cifar10 $(MORE)

clean:
	rm -rf $(VENV) build src/*.egg-info .pytest_cache .mypy_cache .ruff_cache
