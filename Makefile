# make demo · make test · make check · make bench: each sets up .venv by itself, once.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadscope --no-loadscope-reorder
STAMP := .venv/.installed
BENCH := .venv/.peers-installed
SPARK := .venv/.spark-installed
LIFETIMES := .venv-lifetimes

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-long check format spark bench requirements

help:            ## say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /  make \1\t/' | expand -t 18

setup: $(STAMP)  ## make .venv with the pinned, hashed requirements

$(STAMP): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "predictkpi needs Python 3.11 or newer; name one with: make PYTHON=python3.12 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Setting up .venv (once, about a minute) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $(STAMP)

demo: $(STAMP)   ## sample company, ingest, train, dashboard at 127.0.0.1:8000 (ARGS=--no-serve stops after training)
	@$(BIN)/predictkpi demo $(ARGS)

test: $(STAMP)   ## the tests; those of browser and real data skip with a reason where their means are not at hand
	@$(PYTEST) -m "not long" $(ARGS)

test-long: $(STAMP) ## the others: kills, fleets of workers, searches, notebooks, real data, Spark (after `make spark`)
	@$(PYTEST) -m long $(ARGS)

check: $(STAMP)  ## format, lint, types, import contracts, size ceilings
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest tests/architecture -p no:cacheprovider

format: $(STAMP) ## rewrite files in the house format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

spark: $(SPARK)  ## add PySpark to .venv (450 MB; needs Java 17): its tests run then, and so does --engine spark

# a source archive: PySpark has no wheels
$(SPARK): requirements/spark.txt $(STAMP)
	@echo "Adding PySpark (once, 450 MB) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/spark.txt
	@touch $(SPARK)

$(BENCH): requirements/bench.txt $(STAMP)
	@echo "Adding the peers that benchmarks compare with (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/bench.txt
	@touch $(BENCH)

# lifetimes needs NumPy below 2 and pandas below 2.2: an environment of its own; where those have no wheel, the benchmarks do without it and say so
$(LIFETIMES)/.installed: requirements/bench-lifetimes.txt $(STAMP)
	@echo "Adding an environment of its own for the peer lifetimes (once) ..."
	@$(PYTHON) -m venv --clear $(LIFETIMES)
	@$(LIFETIMES)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/bench-lifetimes.txt \
	|| { echo "lifetimes cannot be installed for this Python (it can for 3.11 and 3.12); the benchmarks go on without it"; rm -r $(LIFETIMES)/bin; }
	@touch $@

bench: $(BENCH) $(LIFETIMES)/.installed  ## every benchmark beside its peers, one table, one page of pictures (ARGS=--quick takes small companies)
	@$(BIN)/python benchmarks/run.py $(ARGS)

requirements:    ## compile the hashed pins anew from pyproject.toml (needs uv)
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links pyproject.toml -o requirements/base.txt
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links --extra dev pyproject.toml -o requirements/dev.txt
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links --extra oidc --extra postgres --extra salesforce --extra tracing --constraint requirements/dev.txt pyproject.toml -o requirements/image.txt
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links --extra bench --constraint requirements/dev.txt pyproject.toml -o requirements/bench.txt
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links --constraint requirements/bench.txt requirements/build.in -o requirements/build.txt
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links requirements/bench-lifetimes.in -o requirements/bench-lifetimes.txt
