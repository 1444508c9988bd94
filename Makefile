# Two commands for a newcomer: `make demo` and `make test`. Both do all the set-up first.
PYTHON ?= python3
BIN = .venv/bin

.PHONY: demo test slow judge lint bench clean

demo: .venv/.ready
	$(BIN)/stillroom demo

test: .venv/.ready
	$(BIN)/python -m pytest

slow: .venv/.ready
	$(BIN)/python -m pytest -m "not judge"

# 3 GB and some minutes the first time: see docs/judges.md.
judge: .venv/.ready
	$(BIN)/python bench/rivals/venvs.py lmeval mctx openspiel >&2
	STILLROOM_JUDGES=.venvs $(BIN)/python -m pytest -n 0 -m judge

lint: .venv/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: .venv/.ready
	$(BIN)/python bench/foundation.py
	$(BIN)/python bench/lessons.py
	$(BIN)/python bench/teachers.py
	$(BIN)/python bench/distill.py
	$(BIN)/python bench/guard.py
	$(BIN)/python bench/collapse.py
	$(BIN)/python bench/selfplay.py

.venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Stillroom needs Python 3.11 or later; say which: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	touch $@

clean:
	rm -rf .venv runs
