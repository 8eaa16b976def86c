# Short targets for everything that is done often; `make help` lists them.
# ARGS is passed on to what a target runs; VENV names the virtual environment.

VENV ?= .venv
ARGS ?=
# Of `make simulate`: how many seeds (0: as many as there is time for), the first one, how long (0: no limit).
SEEDS ?= 100000
START ?= 0
SECONDS ?= 0
# Of `make bench`: which suites of parts, and what the other measurements are passed on.
SUITES ?= bench
JOURNAL_ARGS ?=
INSTRUCTIONS_ARGS ?= --ways
GUARDING_ARGS ?=
WORKERS_ARGS ?=
RESTART_ARGS ?=
# Of `make torture`: how often the switch is killed, and the seed of all choices.
KILLS ?= 50
SEED ?= 1
# Of `make balancer`: how many terminals lose their answers, with the same seed.
TERMINALS ?= 10000
PY := $(VENV)/bin/python
JOBS := $(shell nproc 2>/dev/null || echo 1)
# Of `make test`: on all cores; a file's tests share daemons, so they stay together.
IN_PARALLEL := --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder
DEBUG_LIB := build/debug/lib
# Where the command is installed from this tree: in .venv, and where it was installed so before. Others keep theirs.
IS_OF_THIS_TREE = $(shell grep -sl '"editable": true.*"file://$(CURDIR)"' \
    $(VENV)/lib/python*/site-packages/authswitch-*.dist-info/direct_url.json)
INSTALLED := $(if $(filter .venv,$(VENV))$(IS_OF_THIS_TREE),$(VENV)/.authswitch-installed)
# Of `make coverage`: what is measured, and what tries each byte, bit or call by itself, for hours where lines are traced.
COVERED := tests/ext tests/switch
EXHAUSTIVE := tests/ext/test_engine_properties.py \
    tests/ext/test_scan.py::test_each_character_of_each_class_at_each_place \
    $(addprefix tests/ext/test_journal_files.py::, test_torn_tail_at_every_byte test_bit_flips_are_detected_everywhere \
        test_any_sectors_of_the_last_batch_may_be_lost test_crash_at_every_call_of_the_disk)
# Python must take the package from the debug build, not from the working directory.
ON_DEBUG := PYTHONSAFEPATH=1 PYTHONPATH=$(DEBUG_LIB):$(CURDIR)

export VENV
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin

.DEFAULT_GOAL := help
.PHONY: help ready setup build run test simulate nightly defects torture balancer bench instructions lint format debug coverage sanitize fuzz package clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

ready: ## Install what building and running need, and no more
	@tools/setup run

setup: ## Install what tests and development need, too
	@tools/setup test

build: ready build/release/built $(INSTALLED) ## Compile the hot path in place

# What is installed was made of these two: the command's launcher, the list of packages, the version.
.PHONY: $(if $(wildcard $(VENV)/bin/authswitch),,$(INSTALLED))
$(INSTALLED): pyproject.toml setup.py | ready
	@AUTHSWITCH_COMPILE=0 $(PY) -m pip install -qq --no-deps --no-build-isolation --editable .
	@touch $@

# A folder itself is newer when a source was taken away.
build/release/built: $(shell find ext) setup.py | ready
	@echo "compiling ext/"
	@$(PY) setup.py --quiet build_ext --inplace --parallel $(JOBS)
	@mkdir -p $(@D) && touch $@

run: build ## Run the demo: switch, issuers and terminals on this machine (ARGS="--seconds 20")
	@$(PY) -m switch demo $(ARGS)

test: setup build ## Run linters and tests (ARGS="tests/ext -k scan" for some of the tests)
	@status=0; \
	$(MAKE) --no-print-directory lint || status=1; \
	$(PY) -m pytest $(IN_PARALLEL) $(ARGS) || status=1; \
	exit $$status

simulate: setup build ## Try to break what must always hold, on virtual time (SEEDS=100000 START=0 SECONDS=0)
	@$(PY) -m tests.simulation --seeds $(SEEDS) --start $(START) --seconds $(SECONDS) --jobs $(JOBS) $(ARGS)

nightly: setup build ## The same for four hours, from a seed that no night had before
	@$(PY) -m tests.simulation --seeds 0 --start $$(($$(date +%s) * 1000)) --seconds 14400 --jobs $(JOBS) $(ARGS)

defects: setup build ## Let simulation and tests find each deliberate defect, and print who did (ARGS="saf NAME" for some)
	@$(PY) -m tests.simulation.defects --jobs $(JOBS) $(ARGS)

torture: setup build ## Kill a real switch again and again, and account for every transaction (KILLS=50 SEED=1 SECONDS=0)
	@$(PY) -m tests.torture --kills $(KILLS) --seed $(SEED) --seconds $(SECONDS) $(ARGS)

balancer: setup build ## Lose terminals' answers before two nodes behind HAProxy; nobody may pay twice (TERMINALS=10000 SEED=1)
	@$(PY) -m tests.system.losing_answers --terminals $(TERMINALS) --seed $(SEED) $(ARGS)

bench: setup build ## Measure the parts beside their peers, the switch beside the C relay, what journal and workers cost
	@mkdir -p reports
	@$(PY) -m pytest $(SUITES) --benchmark-only --benchmark-group-by=group --benchmark-sort=mean \
	    --benchmark-columns=min,median,ops,rounds --benchmark-json=reports/parts.json
	@$(PY) -m bench.instructions $(INSTRUCTIONS_ARGS)
	@$(PY) -m bench.guarding $(GUARDING_ARGS)
	@$(MAKE) --no-print-directory --directory bench/floor
	@$(PY) -m bench.whole $(ARGS)
	@$(PY) -m bench.journal $(JOURNAL_ARGS)
	@$(PY) -m bench.workers $(WORKERS_ARGS)
	@$(PY) -m bench.restart $(RESTART_ARGS)

instructions: setup build ## Count the instructions of one transaction by function, under callgrind (ARGS="--scale")
	@$(PY) -m bench.instructions $(ARGS)

lint: setup build ## Check style and types
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@PATH="$(abspath $(VENV)/bin):$$PATH" $(PY) tools/lint_cython.py
	@$(PY) -m mypy

format: setup ## Put Python sources into the house style
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

debug: setup ## Compile with line tracing, assertions and bounds checks, into build/debug/lib
	@AUTHSWITCH_DEBUG=1 $(PY) setup.py --quiet build --build-base build/debug --build-lib $(DEBUG_LIB) --parallel $(JOBS)

coverage: debug ## Run the tests on the debug build and report the coverage of Python and Cython lines
	@status=0; export $(ON_DEBUG):tools; \
	$(PY) -m coverage run -m pytest --hypothesis-profile=slow \
	    $(or $(ARGS),$(COVERED) $(addprefix --deselect ,$(EXHAUSTIVE))) || status=1; \
	$(PY) -m coverage combine --quiet && $(PY) -m coverage report || status=1; \
	exit $$status

sanitize: setup ## Run the tests on a debug build under AddressSanitizer and UBSan (ARGS="tests/ext -k scan" for some)
	@$(PY) tools/sanitize.py $(ARGS)

# TARGET: framing, proxy_header, mesh, scan, translation, mac, authentication, machine or all. Only this needs clang.
fuzz: setup ## Fuzz for a time, guided by coverage (TARGET=scan SECONDS=3600)
	@tools/setup fuzz
	@$(PY) -m tests.fuzz $(or $(TARGET),all) --seconds $(or $(SECONDS),60) $(ARGS)

package: setup build ## Build a wheel and a source package into dist/
	@$(PY) -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	@$(PY) -c 'from setuptools import build_meta; build_meta.build_sdist("dist")' >/dev/null
	@ls dist

clean: ## Remove everything that was built; the virtual environment stays
	@rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .coverage* htmlcov
	@find switch \( -name '*.so' -o -name '*.pyi' \) -delete
	@find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
