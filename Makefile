# Every target that needs the virtual environment makes it, or brings it up to date.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check
INSTALLED := $(VENV)/.installed
INSTALLED_DEMO := $(VENV)/.installed-demo

.DEFAULT_GOAL := help
.PHONY: help venv demo docs servers test test-long soak check audit format bench bench-quick build lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(INSTALLED) ## make .venv with the pinned packages (PYTHON=python3.12 to choose one)

# Where all that developers need is installed, it holds what the demo needs.
demo: $(or $(wildcard $(INSTALLED)),$(INSTALLED_DEMO)) ## sync a sample dataset from a local S3 server
	$(PY) -m asyncsync demo

servers: $(INSTALLED) ## install the S3 servers that tests run against; without one, its tests are skipped
	$(PY) -m tests.rigs.servers

test: $(INSTALLED) ## run the tests, less those that take minutes (ARGS=--durations=20: the slowest)
	$(PY) -m pytest -n auto --dist loadfile -m "not long" $(ARGS)

test-long: $(INSTALLED) ## run the tests that take minutes
	$(PY) -m pytest -m long

soak: $(INSTALLED) ## make faults at random, and rewrite the figures of docs/reliability.md
	$(PY) -m tests.soak --write $(ARGS)

check: $(INSTALLED) ## lint, formatting and types
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy

audit: $(INSTALLED) ## look up the known faults of the pinned packages
	$(PY) -m pip_audit --requirement requirements-dev.txt --require-hashes --disable-pip \
		--progress-spinner off --desc off

format: $(INSTALLED) ## format the code and mend what lint can mend
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

docs: $(INSTALLED) ## build the site of the documents into site/; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict --quiet

bench: $(INSTALLED) ## run all benchmarks
	$(PY) -m benchmarks

bench-quick: $(INSTALLED) ## run the benchmarks on small data
	$(PY) -m benchmarks --quick

build: $(INSTALLED) ## build the wheel and the sdist into dist/
	rm -rf dist
	$(PY) -m build --no-isolation

# The oldest supported Python resolves, since its pins suit the newer ones as well.
COMPILE = CUSTOM_COMPILE_COMMAND="make lock" $(PY) -m piptools compile --quiet $(ARGS) \
	--generate-hashes --strip-extras --allow-unsafe --no-build-isolation --no-emit-options \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --extra demo
lock: $(INSTALLED) ## pin requirements-*.txt anew (ARGS=--upgrade for the newest versions)
	@$(PY) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "The lock needs a .venv of Python 3.11.")'
	$(PY) -m dependency_groups dev --output $(VENV)/dev.in
	$(PY) -m dependency_groups editable --output $(VENV)/editable.in
	$(COMPILE) --output-file requirements-dev.txt pyproject.toml $(VENV)/dev.in
	$(COMPILE) --output-file requirements-demo.txt --constraint requirements-dev.txt \
		pyproject.toml $(VENV)/editable.in

clean: ## remove what builds and tools left behind, but not .venv or what was downloaded
	rm -rf build dist site .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find asyncsync benchmarks tests -name __pycache__ -type d -prune -exec rm -rf {} +

# A venv without pip is one whose making was cut short: it is made again.
define make_venv
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: set PYTHON=...")'
@test -x $(VENV)/bin/pip || echo "Making a virtual environment in $(VENV) ..."
@test -x $(VENV)/bin/pip || $(PYTHON) -m venv $(VENV)
endef

# pip alone says too much, or nothing for minutes. What goes wrong is told in full.
define install
@{ $(PIP) install --progress-bar off $(2) --require-hashes -r $(1) 2> $(VENV)/pip.err || \
	{ cat $(VENV)/pip.err >&2; echo failed; }; } | \
	while read -r word rest; do case $$word in \
		Downloading) echo "  $${rest%%-*} $${rest#* }" ;; \
		Installing) echo "Unpacking ..." ;; \
		failed) exit 1 ;; \
	esac; done
@$(PIP) install -qq --no-deps --no-build-isolation --editable .
@touch $@
endef

$(INSTALLED): requirements-dev.txt pyproject.toml
	$(make_venv)
	@echo "Installing what developers need, which takes one to four minutes. Downloading ..."
	$(call install,requirements-dev.txt)

# The demo imports a small part of it, which Python compiles then.
$(INSTALLED_DEMO): requirements-demo.txt pyproject.toml
	$(make_venv)
	@echo "Installing what the demo needs, which takes up to a minute. Downloading ..."
	$(call install,requirements-demo.txt,--no-compile)
