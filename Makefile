# Everything a person calls. Needs Python 3.11+ and make; uv and all packages go into .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup run test check faults fuzz bench reference

setup: .venv/.ready

.venv/.ready: pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; call: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv || { rm -rf .venv; echo "Python's venv module is needed; on Debian: apt install python3-venv"; exit 1; }
	@test -x .venv/bin/uv || .venv/bin/python -m pip install -qq uv==0.13.8
	@.venv/bin/uv sync --frozen --quiet --inexact --compile-bytecode
	@touch $@

run: setup
	@exec $(BIN)/meetingpool demo

test: setup
	$(BIN)/python -m pytest -n logical --maxprocesses 4

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .

# Every call of every import and change goes wrong once. What it does is in docs/testing.md.
faults: setup
	TEST_EFFORT=100 $(BIN)/python -m pytest -n logical --maxprocesses 4 tests/faults/test_import_faults.py tests/faults/test_change_faults.py tests/faults/test_spool_races.py

# REQUESTS: how many in all. What it does is in docs/testing.md.
REQUESTS ?= 100000

fuzz: setup
	$(BIN)/python -m tests.fuzz --requests $(REQUESTS)

bench: setup
	$(BIN)/python -m benchmarks

reference: setup
	$(BIN)/python -m admin.reference
	$(BIN)/python -m gateway.management_api.page
	$(BIN)/meetingpool simulate picture --output docs/images/morning.svg
