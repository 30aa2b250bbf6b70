# The front door. `make run` and `make test` are all a newcomer needs; both make the environment first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup run demo test ui check check-spark check-duckdb format bench soak docs contract lock outdated clean

help: ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

setup: $(VENV)/.ready ## the locked environment in .venv

$(VENV)/.ready: requirements/lock.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	@echo "installing the locked environment into $(VENV) (about a minute)"
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --require-hashes -r requirements/lock.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: setup ## every night of the Complete Journey: from files to tables and campaign lists
	$(BIN)/userops backfill --source complete_journey
	$(BIN)/userops summary

demo: setup ## a simulated shop with every table filled: 20,000 users, 120 nights, some dirt
	$(BIN)/userops simulate --users 20000 --days 120 --dirt 0.01 --out data/demo_shop
	$(BIN)/userops --home data/demo backfill --source demo_shop
	$(BIN)/userops --home data/demo summary

test: setup ## the tests
	$(BIN)/python -m pytest -n logical --no-loadscope-reorder

ui: setup ## the Dagster UI on localhost:3000
	$(BIN)/userops ui

check: setup ## lint, types, formats, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright --level error
	$(BIN)/lint-imports
	$(BIN)/sqlfmt --check --quiet --line-length 120 dbt_project userops_pipeline/sources userops_pipeline/templates
	$(BIN)/userops rules check

check-spark: setup ## both engines build a shop (SHOP=sample_shop or demo_shop), and every published table is compared (needs Java 17)
	@$(BIN)/python -m tests.spark.check --java
	@$(MAKE) --no-print-directory $(VENV)/.spark
	$(BIN)/python -m tests.spark.check $(SHOP)

$(VENV)/.spark: requirements/spark.txt requirements/lock.txt
	@echo "installing Apache Spark into $(VENV) (450 MB, once)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/lock.txt -r requirements/spark.txt
	@touch $@

check-duckdb: setup $(VENV)/.duckdb-1.5.6 ## two releases of DuckDB build the shops (SHOP=sample_shop, demo_shop …), and every model is compared
	$(BIN)/python -m tests.releases.check --other $(VENV)/.duckdb-1.5.6 $(if $(DEMO),--demo "$(DEMO)") $(SHOP)

$(VENV)/.duckdb-%: requirements/duckdb-%.txt
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --require-hashes --no-deps --upgrade --target $@ -r $<
	@touch $@

format: setup ## write the formats that `make check` asks for
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .
	$(BIN)/sqlfmt --quiet --line-length 120 dbt_project userops_pipeline/sources userops_pipeline/templates

bench: setup ## where a night's time goes, and our build beside other hands (SIZE=S, M or L; S takes minutes, L an hour or more)
	$(if $(SIZE),,$(BIN)/python -m tests.bench.nightly)
	$(if $(SIZE),,$(BIN)/python -m tests.bench.value_fit)
	$(if $(SIZE),,$(BIN)/python -m tests.bench.archive)
	$(BIN)/python -m tests.bench.scale $(or $(SIZE),S)

soak: setup ## the long repetitions: 60 nights three ways, kills at every step, two releases of DuckDB
	$(BIN)/python -m pytest -m soak
	$(MAKE) --no-print-directory check-duckdb

docs: setup $(VENV)/.docs ## the site of docs/ in site/, English and Chinese; a link that leads nowhere fails it
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "open site/index.html; with search: $(BIN)/python -m http.server -d site"

$(VENV)/.docs: requirements/docs.txt requirements/lock.txt
	@echo "installing MkDocs into $(VENV) (once)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/lock.txt -r requirements/docs.txt
	@touch $@

contract: setup ## write dbt's sources and staging YAML from the contract
	$(BIN)/python -c "from userops_pipeline.ground import contract, home; (home.DBT_PROJECT_DIR / 'models/staging/_contract.yml').write_text(contract.dbt_yaml(), encoding='utf-8')"

lock: ## pin the dependencies again (needs uv)
	uv pip compile pyproject.toml --universal --python-version 3.11 --extra completejourney --extra dev --generate-hashes --no-header --no-emit-index-url --no-annotate --no-strip-extras -o requirements/lock.txt
	uv pip compile pyproject.toml --universal --python-version 3.11 --extra spark --constraint requirements/lock.txt --generate-hashes --no-header --no-emit-index-url --no-annotate --no-strip-extras $$(sed -nE 's/^([A-Za-z0-9_.-]+)(\[[^]]*\])?==.*/--no-emit-package \1/p' requirements/lock.txt) -o requirements/spark.txt
	uv pip compile pyproject.toml --universal --python-version 3.11 --extra docs --constraint requirements/lock.txt --generate-hashes --no-header --no-emit-index-url --no-annotate --no-strip-extras $$(sed -nE 's/^([A-Za-z0-9_.-]+)(\[[^]]*\])?==.*/--no-emit-package \1/p' requirements/lock.txt) -o requirements/docs.txt
	echo duckdb==1.5.6 | uv pip compile - --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate -o requirements/duckdb-1.5.6.txt

outdated: setup ## which packages have a newer release, and why each that is held back waits
	$(BIN)/python requirements/outdated.py

clean: ## remove what runs wrote, not the environment
	rm -rf data/lake data/warehouse data/published data/exports data/dagster data/alerts.log data/demo data/demo_shop site
