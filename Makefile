# `make` alone lists what there is. On a fresh machine it needs Python 3.11 or later, make and git.
#
#   make demo                          the default runtime, litert
#   make RUNTIME=tflite-runtime demo   the other one; needs Python 3.11, in its own .venv-tflite-runtime

RUNTIME     ?= litert
PYTHON      ?= $(if $(filter tflite-runtime,$(RUNTIME)),$(or $(shell command -v python3.11),python3),python3)
PYTEST_ARGS ?=
JOBS        ?= 2
BENCH_ARGS  ?=
FUZZ_S      ?= 3600
DECODER     ?= fast
SCALE       ?= 1
MINUTES     ?= 60

SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

ifeq ($(RUNTIME),litert)
VENV  := .venv
TRAIN := -r requirements/train.in -r requirements/cluster.in
TESTS := tests
else ifeq ($(RUNTIME),tflite-runtime)
VENV  := .venv-tflite-runtime
TRAIN :=
TESTS := tests --ignore=tests/train # training has TensorFlow, which never shares an environment with tflite-runtime
else
$(error RUNTIME is '$(RUNTIME)', expected litert or tflite-runtime)
endif

BIN      := $(VENV)/bin
INPUTS   := setup.cfg pyproject.toml edge/__init__.py $(wildcard requirements/*.in)
RUN_REQS := -r requirements/base.in -r requirements/$(RUNTIME).in -r requirements/fast.in -r requirements/demo.in
DEV_REQS := $(RUN_REQS) -r requirements/dev.in $(TRAIN)

# pip without its chatter, but not silent while something large is on its way.
PIP      := $(BIN)/python -m pip --disable-pip-version-check
LARGE     = { grep --line-buffered -E '(Downloading|Using cached) .*\([0-9.]+ MB\)|^Installing' | cut -c1-110 || true; }

.PHONY: help venv dev demo run test soak torture fuzz bench check audit deb arm-test system-test container-test ci schema docs lock clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-8s %s\n", $$1, $$2 }'
	@echo "  RUNTIME=litert (default) or tflite-runtime; PYTHON=python3; PYTEST_ARGS='-k word'"

demo: $(BIN)/.run ## nine real mammograms through the real daemon, over MQTT
	$(BIN)/python -m deploy.demo

run: $(BIN)/.run ## the same set-up, but it stays up until Ctrl-C
	$(BIN)/python -m deploy.demo --stay

test: $(BIN)/.dev ## all tests, by JOBS=2 processes; what a missing system tool skips is said
	$(BIN)/python -m pytest $(TESTS) -n $(JOBS) --dist loadfile --max-worker-restart 0 $(PYTEST_ARGS)

# tflite-runtime lives in the other environment; without Python 3.11 its rows say that it was not measured.
bench: $(BIN)/.bench ## measure everything in docs/quality/benchmarks.md anew, twenty minutes; BENCH_ARGS=--quick shows that it works
	-@$(MAKE) --no-print-directory RUNTIME=tflite-runtime venv
	$(BIN)/python -m tests.bench $(BENCH_ARGS)

fuzz: $(BIN)/.dev ## mutated files through real workers, an hour: make fuzz FUZZ_S=60; DECODER=gdcm as without the extra `fast`
	$(BIN)/python -m tests.fuzz.files $(FUZZ_S) fuzz-findings $(DECODER)

torture: $(BIN)/.dev ## kills, full disks, dead brokers: all scenarios into docs/quality/reliability.md; SCALE=0.1 is quicker, 1 takes a quarter of an hour
	$(BIN)/python -m tests.torture --scale $(SCALE) --write docs/quality/reliability.md

soak: $(BIN)/.dev ## mixed load with random faults for MINUTES=60, drawn into docs/quality/soak.png
	$(BIN)/python -m tests.torture.soak --minutes $(MINUTES) --write docs/quality/soak.png

SCRIPTS := deploy/scripts/install.sh deploy/scripts/uninstall.sh deploy/broker/tls/make-certificates deploy/scripts/build-deb deploy/scripts/arm-test deploy/debian/postinst deploy/debian/prerm deploy/debian/postrm

check: $(BIN)/.dev ## ruff, mypy, the layers, shell scripts, licences and hashes, generated files up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/shellcheck .ci/run $(SCRIPTS)
	$(BIN)/python -m deploy.tools.audit
	@for made in $(MADE); do $(MAKE) --no-print-directory -s print-$$made | diff -u $$made - \
	  || { echo "$$made is not what the code says: run 'make docs'"; exit 1; }; done

# The advisory database is on the network. The tool has an environment of its own: it wants other versions than we do.
audit: $(BIN)/.dev ## known vulnerabilities of what devices get; needs a network, and is therefore no part of check
	$(PYTHON) -m venv --clear build/audit && build/audit/bin/python -m pip --disable-pip-version-check --quiet install pip-audit
	for lock in requirements/*.txt; do build/audit/bin/pip-audit --strict --require-hashes --disable-pip --requirement $$lock; done

ARCH  ?= amd64
SUITE ?= bookworm

deb: $(BIN)/.dev ## the Debian package, in dist/: make deb ARCH=amd64|arm64 SUITE=bookworm|trixie; FAST=1 for one with the extra `fast`
	PYTHON=$(BIN)/python FAST=$(FAST) deploy/scripts/build-deb $(ARCH) $(SUITE) dist

arm-test: $(BIN)/.dev ## the arm64 package gives the known answers under qemu-user; needs mmdebstrap
	rm -f build/deb/1/*~$(SUITE)_arm64.deb # of another version
	PYTHON=$(BIN)/python COMPRESSION=gzip deploy/scripts/build-deb arm64 $(SUITE) build/deb/1
	deploy/scripts/arm-test build/deb/1/*~$(SUITE)_arm64.deb

# Quick to pack; what is in them is what `make deb` packs.
system-test: $(BIN)/.dev ## the package on a fresh Debian with a real systemd, in a container; needs root
	rm -f build/deb/[12]/*~$(SUITE)_amd64.deb # of another version
	PYTHON=$(BIN)/python REVISION=1 COMPRESSION=gzip deploy/scripts/build-deb amd64 $(SUITE) build/deb/1
	PYTHON=$(BIN)/python REVISION=2 COMPRESSION=gzip deploy/scripts/build-deb amd64 $(SUITE) build/deb/2
	! command -v lintian > /dev/null || lintian --allow-root --fail-on error,warning build/deb/1/*~$(SUITE)_amd64.deb
	MAMMO_SYSTEM_TEST=1 SUITE=$(SUITE) MAMMO_DEBS="$$(echo build/deb/1/*~$(SUITE)_amd64.deb):$$(echo build/deb/2/*~$(SUITE)_amd64.deb)" \
	  $(BIN)/python -m pytest tests/system -p no:cacheprovider -x $(PYTEST_ARGS)

container-test: $(BIN)/.dev ## the Containerfile builds and what it builds runs; needs root, buildah and three gigabytes
	MAMMO_SYSTEM_TEST=1 MAMMO_CONTAINER_TEST=1 SUITE=$(SUITE) $(BIN)/python -m pytest tests/system/test_container.py -p no:cacheprovider -x -o timeout=3600 -o faulthandler_timeout=3600 $(PYTEST_ARGS)

ci: ## everything CI runs, system packages included
	.ci/run

# Files written from the code. `make check` fails where one is out of date.
MADE := docs/reference/result.schema.json docs/reference/asyncapi.yaml deploy/edge.toml

.PHONY: $(MADE:%=print-%)
print-docs/reference/result.schema.json:
	@$(BIN)/python -m edge.contract.result
print-docs/reference/asyncapi.yaml:
	@$(BIN)/python -m deploy.tools.asyncapi
print-deploy/edge.toml:
	@$(BIN)/python -m edge.config.example

schema: docs ## the same as docs
docs: $(BIN)/.dev ## write docs/reference/result.schema.json, docs/reference/asyncapi.yaml and deploy/edge.toml anew
	@for made in $(MADE); do $(MAKE) --no-print-directory -s print-$$made > $$made.new && mv $$made.new $$made; done

# One file for both Pythons and both machines: compiled on the oldest Python, hashes of every wheel.
COMPILE := CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/pip-compile --quiet --generate-hashes --strip-extras --upgrade \
  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options

lock: $(BIN)/.dev ## the hashed requirements for deployment; on Python 3.11
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "make lock needs Python 3.11: make PYTHON=python3.11 lock")'
	for runtime in litert tflite-runtime; do \
	  $(COMPILE) -o requirements/$$runtime.txt requirements/base.in requirements/$$runtime.in; \
	  $(COMPILE) -c requirements/$$runtime.txt -o requirements/$$runtime-fast.txt requirements/base.in requirements/$$runtime.in requirements/fast.in; \
	done

venv: $(BIN)/.run ## what the daemon and the demo need
dev: $(BIN)/.dev ## what check and test need, training included

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mammo-edge needs Python 3.11 or later, $(PYTHON) is " + sys.version.split()[0])'
ifeq ($(RUNTIME),tflite-runtime)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "tflite-runtime 2.14 is the last one and needs Python 3.11, $(PYTHON) is " + sys.version.split()[0] + ": try make PYTHON=python3.11 RUNTIME=tflite-runtime")'
endif
	$(PYTHON) -m venv $(VENV) || { echo "on Debian: apt install python3-venv"; rm -rf $(VENV); exit 1; }

$(BIN)/.run: $(BIN)/python $(INPUTS)
	@echo "installing mammo-edge with $(RUNTIME) into $(VENV) ..."
	@$(PIP) install $(RUN_REQS) 2>&1 | tee $(VENV)/pip.log | $(LARGE) || { tail -20 $(VENV)/pip.log; exit 1; }
	@$(PIP) install --quiet --no-deps --editable .
	@touch $@

$(BIN)/.dev: $(BIN)/.run
	@echo "installing what check and test need into $(VENV)$(if $(TRAIN), (TensorFlow included: some minutes)) ..."
	@$(PIP) install $(DEV_REQS) 2>&1 | tee $(VENV)/pip.log | $(LARGE) || { tail -20 $(VENV)/pip.log; exit 1; }
	@touch $@

$(BIN)/.bench: $(BIN)/.dev requirements/bench.in
	@echo "installing what bench compares with into $(VENV) ..."
	@$(PIP) install -r requirements/bench.in 2>&1 | tee $(VENV)/pip.log | $(LARGE) || { tail -20 $(VENV)/pip.log; exit 1; }
	@touch $@

clean: ## remove both environments and what tools left behind
	rm -rf fuzz-findings .venv .venv-tflite-runtime build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
