# `make` alone lists what there is. On a fresh machine it needs Python 3.11 or later, make and git.
#
#   make demo                          the default runtime, litert
#   make RUNTIME=tflite-runtime demo   the other one; needs Python 3.11, in its own .venv-tflite-runtime

RUNTIME     ?= litert
PYTHON      ?= $(if $(filter tflite-runtime,$(RUNTIME)),$(or $(shell command -v python3.11),python3),python3)
PYTEST_ARGS ?=
JOBS        ?= 3
BENCH_ARGS  ?=
FUZZ_S      ?= 3600
DECODER     ?= fast
SCALE       ?= 1
MINUTES     ?= 60

# Compiled once, not by each of the thousand processes that the tests start.
unexport PYTHONDONTWRITEBYTECODE

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
# What meets an interpreter, numpy or OpenCV, or names the runtime: the rest of the daemon is the same on both.
# Training has TensorFlow, which never shares an environment with tflite-runtime.
TESTS := $(addprefix tests/,edge/inference edge/models edge/cli edge/contract edge/daemon/workers edge/daemon/rollout \
  edge/system/test_coral.py e2e/one_daemon e2e/test_commands.py e2e/test_coral.py e2e/test_info.py e2e/test_models.py \
  e2e/test_quickstart.py e2e/test_startup.py repository/test_audit.py)
else
$(error RUNTIME is '$(RUNTIME)', expected litert or tflite-runtime)
endif

BIN      := $(VENV)/bin
INPUTS   := setup.cfg pyproject.toml edge/__init__.py $(wildcard requirements/*.in)
RUN_REQS := -r requirements/base.in -r requirements/$(RUNTIME).in -r requirements/fast.in -r requirements/demo.in -r requirements/page.in
DEV_REQS := $(RUN_REQS) -r requirements/deb.in -r requirements/dicom.in -r requirements/dev.in $(TRAIN)

# pip without its chatter, but not silent while something large is on its way.
PIP      := $(BIN)/python -m pip --disable-pip-version-check
LARGE     = { grep --line-buffered -E '(Downloading|Using cached) .*\([0-9.]+ MB\)|^Installing' | cut -c1-110 || true; }

.PHONY: help demo run format lint types layers unit test test-all check ci docs site torture soak fuzz bench \
  deb release system-test system-test-all container-test arm-test audit lock venv dev clean

help:
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-15s  %s\n", $$1, $$2 }'
	@echo "  Settings: RUNTIME=litert or tflite-runtime, PYTHON=python3, JOBS=3, PYTEST_ARGS='-k word'"

demo: $(BIN)/.run ## nine real mammograms through the real daemon
	$(BIN)/python -m deploy.demo

run: $(BIN)/.run ## the same set-up with the page in a browser, up until Ctrl-C
	$(BIN)/python -m deploy.demo --stay

format: $(BIN)/.dev ## lay out the code and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(BIN)/.dev ## ruff, the layout of the code, shell scripts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/shellcheck .ci/run $(SCRIPTS)

types: $(BIN)/.dev ## mypy
	$(BIN)/mypy

layers: $(BIN)/.dev ## which package may import which
	$(BIN)/lint-imports

# One more than the cores of a small machine, since many tests wait. The order is tests/support/ordering.py.
PYTEST := $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

# Without those that start many processes or read many files.
LONG := cli/test_bench.py contract daemon/rollout/test_accelerator.py daemon/workers inference/test_examiner.py \
  inference/engine inference/explain inference/image/test_hostile.py models/test_power_cut.py \
  page/test_in_browser.py
unit: $(BIN)/.dev ## the quick tests of the daemon
	$(PYTEST) tests/edge $(LONG:%=--ignore=tests/edge/%) -m 'not slow' $(PYTEST_ARGS)

test: $(BIN)/.dev ## all tests but the slow ones
	$(PYTEST) $(TESTS) -m 'not slow' --max-worker-restart 0 $(PYTEST_ARGS)

test-all: $(BIN)/.dev ## all tests, as CI runs them; RUNTIME=tflite-runtime: what depends on it
	$(PYTEST) $(TESTS) --max-worker-restart 0 $(PYTEST_ARGS)

check: lint types layers site ## lint, types, layers, licences, links of documents, generated files
	$(BIN)/python -m deploy.tools.audit
	@for made in $(MADE); do $(MAKE) --no-print-directory -s print-$$made | diff -u $$made - \
	  || { echo "$$made is not what the code says: run 'make docs'"; exit 1; }; done

# tflite-runtime lives in the other environment; without Python 3.11 its rows say that it was not measured.
bench: $(BIN)/.bench ## measure docs/quality/benchmarks.md anew, twenty minutes; BENCH_ARGS=--quick
	-@$(MAKE) --no-print-directory RUNTIME=tflite-runtime venv
	$(BIN)/python -m tests.bench $(BENCH_ARGS)

fuzz: $(BIN)/.dev ## mutated messages and files, at a daemon and at workers; FUZZ_S=60
	$(BIN)/python -m tests.fuzz.daemon $(FUZZ_S) fuzz-findings
	$(BIN)/python -m tests.fuzz.files $(FUZZ_S) fuzz-findings $(DECODER)

torture: $(BIN)/.dev ## kills, full disks, dead brokers: docs/quality/reliability.md; SCALE=0.1
	$(BIN)/python -m tests.torture --scale $(SCALE) --write docs/quality/reliability.md

soak: $(BIN)/.dev ## an hour of load with faults: docs/quality/soak.md; MINUTES=60
	$(BIN)/python -m tests.torture.soak --minutes $(MINUTES) --write docs/quality/soak.png

SCRIPTS := $(addprefix deploy/,scripts/install.sh scripts/uninstall.sh scripts/build-deb scripts/pack-deb scripts/arm-test \
  broker/tls/make-certificates debian/postinst debian/prerm debian/postrm \
  debian/dicom/postinst debian/dicom/prerm debian/dicom/postrm \
  debian/page/postinst debian/page/prerm debian/page/postrm)

# The advisory database is on the network. The tool has an environment of its own: it wants other versions than we do.
audit: $(BIN)/.dev ## known vulnerabilities of what devices get; asks the network
	$(PYTHON) -m venv --clear build/audit && build/audit/bin/python -m pip --disable-pip-version-check --quiet install pip-audit
	for lock in requirements/*.txt; do build/audit/bin/pip-audit --strict --require-hashes --disable-pip --requirement $$lock; done

# Those of this machine, if packages are built for them.
ARCH  ?= $(if $(filter aarch64 arm64,$(shell uname -m)),arm64,amd64)
SUITE ?= $(or $(filter bookworm trixie,$(shell . /etc/os-release 2> /dev/null && echo $$VERSION_CODENAME)),bookworm)

deb: $(BIN)/.deb ## the Debian packages; ARCH=amd64|arm64 SUITE=bookworm|trixie FAST=1
	PYTHON=$(BIN)/python FAST=$(FAST) deploy/scripts/build-deb $(ARCH) $(SUITE) dist

arm-test: $(BIN)/.dev ## the arm64 package under qemu-user; needs mmdebstrap
	rm -f build/deb/1/*~$(SUITE)_arm64.deb build/deb/1/*~$(SUITE)_all.deb # of another version
	PYTHON=$(BIN)/python COMPRESSION=gzip LEVEL=1 deploy/scripts/build-deb arm64 $(SUITE) build/deb/1
	deploy/scripts/arm-test build/deb/1/*~$(SUITE)_arm64.deb

# Quick to pack; what is in them is what `make deb` packs.
.PHONY: system-packages
system-packages: $(BIN)/.dev
	rm -f build/deb/[12]/*~$(SUITE)_amd64.deb build/deb/[12]/*~$(SUITE)_all.deb # of another version
	PYTHON=$(BIN)/python REVISION=1 COMPRESSION=gzip LEVEL=1 deploy/scripts/build-deb amd64 $(SUITE) build/deb/1
	PYTHON=$(BIN)/python REVISION=2 COMPRESSION=gzip LEVEL=1 deploy/scripts/build-deb amd64 $(SUITE) build/deb/2
	! command -v lintian > /dev/null || lintian --allow-root --fail-on error,warning build/deb/1/*~$(SUITE)_amd64.deb build/deb/1/*~$(SUITE)_all.deb

SYSTEM_TEST = MAMMO_SYSTEM_TEST=1 SUITE=$(SUITE) MAMMO_DEBS="$$(echo build/deb/1/*~$(SUITE)_amd64.deb):$$(echo build/deb/2/*~$(SUITE)_amd64.deb)" \
  $(BIN)/python -m pytest tests/system -p no:cacheprovider -x
system-test: system-packages ## the package on a fresh Debian with a real systemd; needs root
	$(SYSTEM_TEST) -m 'not slow' $(PYTEST_ARGS)

system-test-all: system-packages ## system-test, sixty kills on the way to a PACS, films by SFTP on the page
	$(SYSTEM_TEST) -o timeout=3600 -o faulthandler_timeout=3600 -s $(PYTEST_ARGS)

container-test: $(BIN)/.dev ## the Containerfile is built and runs; needs root and buildah
	MAMMO_SYSTEM_TEST=1 MAMMO_CONTAINER_TEST=1 SUITE=$(SUITE) $(BIN)/python -m pytest tests/system/test_container.py -p no:cacheprovider -x -o timeout=3600 -o faulthandler_timeout=3600 $(PYTEST_ARGS)

release: $(BIN)/.dev ## commit, tag and build a release into dist/VERSION; VERSION=0.2.0
	ARCH=$(ARCH) SUITE=$(SUITE) $(BIN)/python -m deploy.tools.release "$(VERSION)"

ci: ## everything that CI runs, system packages included
	.ci/run

# Files written from the code. `make check` fails where one is out of date.
MADE := docs/reference/result.schema.json docs/reference/asyncapi.yaml deploy/edge.toml docs/quality/traceability.md

.PHONY: $(MADE:%=print-%)
print-docs/reference/result.schema.json:
	@$(BIN)/python -m edge.contract.result
print-docs/reference/asyncapi.yaml:
	@$(BIN)/python -m deploy.tools.asyncapi
print-deploy/edge.toml:
	@$(BIN)/python -m edge.config.example
print-docs/quality/traceability.md:
	@$(BIN)/python -m deploy.tools.traceability

site: $(BIN)/.dev ## the documents as a web site in build/site; fails on a broken link
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs --quiet build --config-file deploy/site/mkdocs.yml

docs: $(BIN)/.dev ## write anew what is made from code: schemas, edge.toml, traceability
	@for made in $(MADE); do $(MAKE) --no-print-directory -s print-$$made > $$made.new && mv $$made.new $$made || { rm -f $$made.new; exit 1; }; done

# One file for both Pythons and both machines: compiled on the oldest Python, hashes of every wheel.
COMPILE := CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/pip-compile --quiet --generate-hashes --strip-extras --upgrade \
  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options

lock: $(BIN)/.dev ## the hashed requirements for devices; on Python 3.11
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "make lock needs Python 3.11: make PYTHON=python3.11 lock")'
	for runtime in litert tflite-runtime; do \
	  $(COMPILE) -o requirements/$$runtime.txt requirements/base.in requirements/$$runtime.in; \
	  $(COMPILE) -c requirements/$$runtime.txt -o requirements/$$runtime-fast.txt requirements/base.in requirements/$$runtime.in requirements/fast.in; \
	done
	$(COMPILE) -c requirements/litert.txt -c requirements/tflite-runtime.txt -o requirements/dicom.txt requirements/dicom.in
	$(COMPILE) -c requirements/litert.txt -c requirements/tflite-runtime.txt -o requirements/page.txt requirements/page.in

venv: $(BIN)/.run ## an environment for the daemon and the demo
dev: $(BIN)/.dev ## an environment for checks, tests and training

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

# Not what check and test need: no TensorFlow.
$(BIN)/.deb: $(BIN)/.run requirements/deb.in
	@$(PIP) install --quiet -r requirements/deb.in
	@touch $@

$(BIN)/.bench: $(BIN)/.dev requirements/bench.in
	@echo "installing what bench compares with into $(VENV) ..."
	@$(PIP) install -r requirements/bench.in 2>&1 | tee $(VENV)/pip.log | $(LARGE) || { tail -20 $(VENV)/pip.log; exit 1; }
	@touch $@

clean: ## remove environments and whatever tools left behind
	rm -rf fuzz-findings .venv .venv-tflite-runtime build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
