# make demo: from nothing to the Pareto table.  make test: the tests.  Both set up .venv by themselves.
.DEFAULT_GOAL := help
.PHONY: help demo mlflow test test-slow test-all lint bench gpu-check setup simulated-jetson tensorrt-check
SHELL := /bin/sh

VENV := .venv
STAMP := $(VENV)/.installed
# What DVC, Snakemake and the stages call must be that of the environment.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := 1
export TF_CPP_MIN_LOG_LEVEL := 2
# A run is hundreds of processes: what one has compiled, the next ones load.
unexport PYTHONDONTWRITEBYTECODE
# At least two jobs at a time.
CORES := $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); [ "$$n" -gt 2 ] && echo $$n || echo 2)

help: ## what there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 20

demo: $(STAMP) ## synthetic walkers -> trained, pruned, quantised, measured engines and a Pareto table
	snakemake --cores $(CORES) all
	@echo
	@cat results/report/pareto.txt
	@echo
	@cat results/report/conclusion.txt
	@echo
	@echo "The picture:         results/report/pareto.png"
	@echo "The page:            results/report/index.html"
	@echo "Compare in MLflow:   make mlflow"
	@python -m gaitpress compare --no-start

mlflow: $(STAMP) ## the variants compared in MLflow: starts it if it does not run, and says where to look
	@python -m gaitpress compare

test: $(STAMP) ## the tests: ten minutes on two cores
	python -m pytest -m "not slow" --numprocesses 4 --dist loadfile --no-loadscope-reorder

test-slow: $(STAMP) ## longer tests, and the other members of families: more models, the demo's own, more of the two engines
	python -m pytest -m slow

test-all: test test-slow ## all tests

lint: $(STAMP) ## style and types
	ruff format --check .
	ruff check .
	snakefmt --check Snakefile
	mypy

bench: $(STAMP) ## speed and quality, as ratios of one run: one JSON object a benchmark
	@for file in benchmarks/[a-z]*.py; do \
		name=$$(basename $$file .py); echo "== $$name"; python -m benchmarks.$$name --json || exit 1; \
	done

gpu-check: $(STAMP) ## is training right on this GPU, and how fast: eight minutes; leaves gpu.json
	python -m benchmarks.gpu --out gpu.json

simulated-jetson: $(STAMP) ## a Jetson that is only played, behind an SSH server; BOARD=nano, xavier-nx or orin-nano
	@python -m simulator $(or $(BOARD),orin-nano)

tensorrt-check: $(STAMP) ## install TensorRT's parser (170 MB): networks are tried before they are sent to a board
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps -r requirements-tensorrt.lock

setup: $(STAMP) ## only set up .venv

# The stamp comes last, so that an interrupted set-up starts again.
$(STAMP): requirements.lock
	@for candidate in python3 python3.14 python3.13 python3.12 python3.11; do \
		if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then echo "error: gaitpress needs Python 3.11 or newer, and there is none on PATH" >&2; exit 1; fi; \
	if ! $$python -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "error: $$python has no venv module; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; \
	fi; \
	echo "setting up $(VENV) with $$($$python --version); this takes some minutes once"; \
	$$python -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r requirements.lock
	@touch $@
