# Roadcall Payments. Each target does all of its own set-up; it needs Python 3.11+ (with venv) and make.
# Works with GNU make 3.81 (macOS) and any POSIX sh.

SHELL := /bin/sh
.DEFAULT_GOAL := help
PORT ?= 8000
SANDBOX_PORT ?= 12111
DATA_DIR ?= var

# Tests and commands start Python a few hundred times: each compiles our code again without it.
export PYTHONDONTWRITEBYTECODE :=

VENV := .venv
PY := $(VENV)/bin/python
PIP_INSTALL := $(PY) -m pip --disable-pip-version-check --no-input install -qq
UV_INSTALL := $(PY) -m uv pip install --quiet --python $(PY) --compile-bytecode

# The stamp's name holds the checksum of all that decides what is installed, so set-up is instant
# when nothing changed, whatever a checkout did to the files' times.
STAMP := $(VENV)/installed-$(shell { cat requirements-dev.lock pyproject.toml; pwd; } | cksum | tr ' ' '-')

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

.PHONY: setup
setup: $(STAMP) ## install everything into .venv, at the locked versions
	@:

# uv installs the lock in seconds. pip, which many machines have configured for a mirror, stands in.
$(STAMP):
	@python=; \
	for candidate in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11); do \
	    if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	        then python=$$candidate; break; fi; \
	done; \
	case "$$(uname -s)" in \
	    Darwin) line='brew install python' ;; \
	    *) line='apt-get install python3 python3-venv' ;; \
	esac; \
	if [ -z "$$python" ]; then \
	    echo "Python 3.11 or newer is needed (found: $$($(or $(PYTHON),python3) --version 2>&1)). Install it with: $$line" >&2; \
	    exit 1; \
	fi; \
	if ! $$python -c 'import ensurepip, venv' 2>/dev/null; then \
	    echo "Python's venv is missing. Install it with: $$line" >&2; \
	    exit 1; \
	fi; \
	echo "Setting up $(VENV) with $$($$python --version) ..."; \
	rm -f $(VENV)/installed-*; \
	[ -x $(PY) ] && $(PY) -c 'import pip' 2>/dev/null || { rm -rf $(VENV) && $$python -m venv $(VENV); }
	@sed -n '/^uv==/,/[^\\]$$/p' requirements-dev.lock | $(PIP_INSTALL) --require-hashes -r /dev/stdin
	@$(UV_INSTALL) --require-hashes -r requirements-dev.lock || { \
	    echo 'uv could not install the lock; pip tries, which takes about a minute ...'; \
	    $(PIP_INSTALL) --require-hashes -r requirements-dev.lock; }
	@$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: run
run: setup ## start service, worker and Stripe sandbox; carry two payments through (PORT=, SANDBOX_PORT=, DATA_DIR=)
	@$(PY) -m roadcall_payments.cli.main run --port $(PORT) --sandbox-port $(SANDBOX_PORT) \
	    --data-dir "$(DATA_DIR)"

.PHONY: demo
demo: setup ## the same on temporary databases; exit status 0, or 1 and the reason
	@$(PY) -m roadcall_payments.cli.main demo

.PHONY: check
check: setup ## formatter, linter, strict type checker, architecture test
	@$(PY) -m ruff format --check --quiet . || { echo 'Not formatted: run make format' >&2; exit 1; }
	@$(PY) -m ruff check --quiet .
	@$(PY) -m mypy
	@$(PY) -m pytest --quiet tests/test_architecture.py

# In the order of tests/conftest.py: xdist's own would leave the longest files to the end.
.PHONY: test
test: setup ## every test, the fast ones first
	@$(PY) -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: simulate
simulate: setup ## payments under every fault at once, audited (PAYMENTS=, SEED=, FAULTS=); docs/simulation.md
	@$(PY) -m tests.simulation $(if $(PAYMENTS),--payments $(PAYMENTS)) $(if $(SEED),--seed '$(SEED)') \
	    $(if $(FAULTS),--faults '$(FAULTS)')

.PHONY: simulate-mutants
simulate-mutants: setup ## plant each defect in a simulated world: the auditor must see every one
	@$(PY) -m tests.simulation.mutants

.PHONY: chaos
chaos: setup ## kill -9 of real processes under load, PostgreSQL restarted twice, audited (SECONDS=, SEED=)
	@$(PY) -m tests.chaos $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed '$(SEED)')

# bench-filled stores five million payments first, which takes a while.
.PHONY: bench
bench: setup ## ratios to pgbench, dj-stripe, stripe-sync-engine, an ordinary handler (ONLY=, ROUNDS=, SECONDS=)
	@sh benchmarks/set_up.sh $(PY) $(PYTHON)
	@$(PY) -m benchmarks.bench $(if $(ONLY),--only $(ONLY)) --rounds $(or $(ROUNDS),5) --seconds $(or $(SECONDS),3)

.PHONY: bench-filled
bench-filled: setup ## webhooks/s with five million payments stored, against empty (STORED=, ROUNDS=, SECONDS=)
	@sh benchmarks/set_up.sh $(PY) $(PYTHON)
	@$(PY) -m benchmarks.bench --only filled --stored $(or $(STORED),5000000) \
	    --rounds $(or $(ROUNDS),5) --seconds $(or $(SECONDS),3)

.PHONY: bench-sandbox
bench-sandbox: setup ## PaymentIntents a second that the sandbox creates on one core, at 32 connections
	@$(PY) benchmarks/bench_sandbox.py

.PHONY: test-live
test-live: setup ## the flow tests against Stripe's own test mode; needs a key, and was never run for want of one (STRIPE_API_KEY=sk_test_... STRIPE_DESTINATION=acct_...)
	@case "$(STRIPE_API_KEY)" in sk_test_*) ;; *) \
	    echo 'Name a test key: make test-live STRIPE_API_KEY=sk_test_...' >&2; exit 1;; esac
	@export ROADCALL_TEST_LIVE=1 STRIPE_API_KEY='$(STRIPE_API_KEY)'; \
	    $(if $(STRIPE_DESTINATION),export STRIPE_DESTINATION='$(STRIPE_DESTINATION)';) \
	    $(PY) -m pytest tests/live

.PHONY: format
format: setup ## format the code and mend what the linter can mend
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix .

LOCK := $(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-header pyproject.toml

.PHONY: lock
lock: setup ## renew the lock files (LOCK_FLAGS='--upgrade' for the newest versions)
	@$(LOCK) $(LOCK_FLAGS) --output-file requirements.lock
	@$(LOCK) $(LOCK_FLAGS) --constraint requirements.lock --group dev --output-file requirements-dev.lock

.PHONY: clean
clean: ## remove what set-up and the tools made; data in var/ stays
	@rm -rf $(VENV) .cache build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
