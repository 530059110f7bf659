# `make` alone lists what there is.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
UV_VERSION := 0.13.8
# In an environment of its own: it pins what our lock has newer.
CHECKOV_VERSION := 3.3.30
BIN := .venv/bin
READY := .venv/.ready
IMAGE ?= landfall-backend
OPERATOR := k8s/operator
# Each worker starts servers of its own; PostgreSQL's, MinIO's and the cluster's processes need their share too.
WORKERS := -n auto --maxprocesses 2
UV := $(BIN)/uv --quiet --no-python-downloads

# The lock holds names, versions and hashes; its header shows the same command.
LOCK := uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	backend/pyproject.toml --extra export k8s/operator/pyproject.toml --group pyproject.toml:dev -o requirements.lock

export UV_PYTHON := $(CURDIR)/$(BIN)/python

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: $(READY) ## start the service on http://127.0.0.1:8000, with a SQLite file and demo data
	@cd backend && exec ../$(BIN)/landfall serve --migrate --seed

.PHONY: test
test: $(READY) ## run all tests, or some: make test args="-k sites"
	@$(BIN)/python -m pytest $(WORKERS) --dist worksteal $(args)

.PHONY: clients
clients: $(READY) ## try the service with clients that nobody here wrote
	@$(BIN)/python -m pytest backend/tests/clients $(args)

.PHONY: image
image: $(READY) ## build the service's image and test it; needs Docker
	@docker build --quiet --network host --file backend/Dockerfile --tag $(IMAGE) .
	@TEST_IMAGE=$(IMAGE) $(BIN)/python -m pytest backend/tests/container

.PHONY: e2e
e2e: $(READY) ## test the operator on the local cluster that KUBECONFIG names; LANDFALL_TEST_MINIO_IMAGE names MinIO
	@$(BIN)/python -m pytest $(WORKERS) --dist loadfile --no-loadscope-reorder k8s/e2e $(args)

.PHONY: up
up: $(READY) ## start the local loop: a kind cluster with a registry, and Tilt
	@k8s/dev/cluster.sh up
	@exec tilt up

.PHONY: down
down: ## delete the local loop's cluster and registry, with all data in them
	@k8s/dev/cluster.sh down

.PHONY: bench-operator
bench-operator: $(READY) ## measure the operator on the local cluster that KUBECONFIG names; takes about an hour
	@$(BIN)/python -m pytest -s k8s/e2e/bench_operator.py k8s/e2e/bench_kinds.py $(args)

.PHONY: lint
lint: $(READY) ## check style, format, types and the direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@MYPYPATH=$(OPERATOR):$(OPERATOR)/tests:$(OPERATOR)/landfall_operator/runner $(BIN)/mypy $(OPERATOR)
	@MYPYPATH=k8s/e2e:$(OPERATOR):backend $(BIN)/mypy k8s/e2e/*.py
	@MYPYPATH=charts:charts/tests $(BIN)/mypy charts/*.py charts/tests
	@$(BIN)/lint-imports

.PHONY: scan
scan: $(READY) ## have checkov look at the rendered charts; charts/checkov.yaml says what is as it should be
	@test "$$(.venv-checkov/bin/checkov --version 2>/dev/null)" = $(CHECKOV_VERSION) || \
		{ $(PYTHON) -m venv --clear .venv-checkov && .venv-checkov/bin/python -m pip install --quiet --disable-pip-version-check checkov==$(CHECKOV_VERSION); }
	@rendered=$$(mktemp -d); trap 'rm -r "$$rendered"' EXIT; \
		helm template landfall charts/landfall --set postgis.pgbouncer.enabled=true,postgis.backup.enabled=true >"$$rendered/landfall.yaml"; \
		.venv-checkov/bin/checkov --config-file charts/checkov.yaml --directory "$$rendered"

.PHONY: format
format: $(READY) ## mend style and format in place
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: migrate
migrate: $(READY) ## bring the database to the newest revision
	@cd backend && ../$(BIN)/landfall migrate

.PHONY: revision
revision: $(READY) ## begin a new revision: make revision m="add a column"
	@test -n "$(m)" || { echo 'Say what it does: make revision m="add a column"' >&2; exit 2; }
	@cd backend && ../$(BIN)/alembic revision -m "$(m)"

.PHONY: bench
bench: $(READY) ## run the benchmarks, one after the other
	@cd backend && for file in benchmarks/[a-z]*.py; do \
		name=$$(basename "$$file" .py); echo "== $$name"; ../$(BIN)/python -m "benchmarks.$$name"; done

.PHONY: reference
reference: $(READY) ## write what follows from the code and the charts' schemas anew; needs Helm
	@$(BIN)/python $(OPERATOR)/write_reference.py
	@$(BIN)/python charts/write_values.py

.PHONY: lock
lock: $(READY) ## resolve requirements.lock anew, keeping what still fits: make lock args=--upgrade
	@$(BIN)/$(LOCK) $(args) >/dev/null

.PHONY: clean
clean: ## remove the environment and all caches; data in backend/var stays
	rm -rf .venv .venv-checkov .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .schemathesis
	find backend -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: .venv
.venv: $(READY)

$(READY): requirements.lock pyproject.toml backend/pyproject.toml k8s/operator/pyproject.toml Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Landfall needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) -V 2>/dev/null || echo missing)." \
			"Name another one: make PYTHON=python3.13" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "Installing python3-venv"; apt-get -qq update; \
			DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends python3-venv >/dev/null; \
		else echo "$(PYTHON) has no venv module. On Debian: sudo apt-get install python3-venv" >&2; exit 1; fi; }
	@echo "Preparing .venv"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@test "$$($(BIN)/uv --version 2>/dev/null | cut -d' ' -f2)" = $(UV_VERSION) || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(UV) pip sync --require-hashes requirements.lock
	@$(UV) pip install --no-deps --editable backend --editable k8s/operator
	@touch $@
