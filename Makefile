# `make serve` and `make test` need Python 3.11 or newer, make and nothing else. `make test-engines`
# also needs 12 GB of disk, and a package index that pip finds PyTorch's CPU build on.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
# Processes that the tests on the fake engine run in.
JOBS ?= 2

# Engines that `make test-engines` installs and runs, and where: kept between runs, for all clones.
ENGINES ?= vllm transformers
ENGINES_DIRECTORY ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/pilotlight-engines

SERVE := $(VENV)/.installed-serve
DEV := $(VENV)/.installed-dev
BIN := $(VENV)/bin
# The lock names exact versions with their hashes; the index is pip's own configuration.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
SELF := --no-deps --no-build-isolation --editable .

.PHONY: help serve test test-fast test-real install-engines test-engines test-platforms check format bench \
  benchmarks lock lock-engines clean

help: ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 17

serve: $(SERVE) ## install what it needs and serve (ARGS="--port 9000" or ARGS=pilotlight.yaml)
	@exec $(BIN)/pilotlight serve $(ARGS)

test: check test-fast test-real ## everything: lint, types and all tests

test-fast: $(DEV) ## the tests on the fake engine and on pure code
	$(BIN)/python -m pytest -m "not real and not platforms" -n $(JOBS) --dist loadfile $(ARGS)

test-real: $(DEV) ## the tests with llama.cpp, the real model and real processes
	$(BIN)/python -m pytest -m "real and not engines and not platforms" $(ARGS)

install-engines test-engines: export PILOTLIGHT_ENGINES_DIRECTORY = $(ENGINES_DIRECTORY)

install-engines: $(DEV) ## install ENGINES="vllm transformers" where they aren't, as a user would
	@for name in $(ENGINES); do $(BIN)/pilotlight engines install $$name || exit 1; done

# A test that hangs fails by its name, and what it started is ended.
test-engines: install-engines ## the tests with those engines, each in its own environment; minutes
	$(BIN)/python -m pytest -m engines --timeout 600 $(ARGS)
ifneq ($(filter llamacpp-native,$(ENGINES)),)
	LLAMA_SERVER="$(ENGINES_DIRECTORY)/llamacpp-native/current/bin/llama-server" \
	  $(BIN)/python -m pytest -m real -k server --timeout 600 tests/engines \
	  tests/remote/test_command_real.py $(ARGS)
endif

# What is missing of containers, clusters and emulators is said in the reasons of what is skipped.
test-platforms: $(DEV) ## the tests in containers, clusters and emulators of clouds; minutes
	$(BIN)/python -m pytest -m platforms --timeout 600 $(ARGS)

check: $(DEV) ## lint and strict types
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

format: $(DEV) ## mend what lint can mend
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

# The model of `make serve` under one to eight users; the report is what users of `bench` get.
bench: $(SERVE) ## a short real benchmark and its report in build/bench; three minutes
	@mkdir -p build/bench
	$(BIN)/pilotlight bench smollm2:135m --workload builtin:max_tokens=64 --arrivals sweep \
	  --concurrency 8 --duration 25s --out build/bench/report.json \
	  --html build/bench/report.html --markdown build/bench/report.md $(ARGS)

benchmarks: $(DEV) ## every benchmark of benchmarks/, in order; minutes
	for name in byte_path real_model cold_start footprint plan_search generator meter_overhead ledger \
	  soak wire remote_start kills swarm; do \
	  $(BIN)/python -m benchmarks.$$name || exit 1; done

lock: $(DEV) ## resolve the versions anew
	$(INSTALL) uv
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --extra llamacpp pyproject.toml requirements/build.in \
	  -o requirements/serve.lock
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --extra llamacpp --extra dev pyproject.toml \
	  requirements/build.in -c requirements/serve.lock -o requirements/dev.lock
	cp requirements/serve.lock src/pilotlight/deploy/image/data/serve.lock

lock-engines: $(DEV) ## resolve the engines' environments anew (ARGS=vllm-cpu for one)
	$(INSTALL) uv packaging
	$(BIN)/python requirements/engines/lock.py $(ARGS)

clean: ## forget the environment and every cache
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: $(PYTHON) is older than Python 3.11"; \
	  echo "hint: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Making a virtual environment in $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)

$(SERVE): requirements/serve.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing Pilotlight and llama.cpp into $(VENV) ..."
	@$(INSTALL) --require-hashes -r requirements/serve.lock
	@$(INSTALL) $(SELF)
	@touch $@

$(DEV): requirements/dev.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing the development tools into $(VENV) ..."
	@$(INSTALL) --require-hashes -r requirements/dev.lock
	@$(INSTALL) $(SELF)
	@touch $@ $(SERVE)
