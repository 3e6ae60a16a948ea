# Two commands do all the set-up on a fresh machine with Python 3.10 or newer, git and make: `make demo`, `make test`.
PYTHON ?= python3
VENV_PYTHON := .venv/bin/python
DEMO := build/demo/corridor-demo
# The kit is the same in every project, and is linted where it lies.
KIT := --config pyproject.toml --config "exclude=[]" "{{cookiecutter.project_slug}}/src/{{cookiecutter.__package_name}}/kit"
WORKFLOWS := .github/workflows/*.yml "{{cookiecutter.project_slug}}"/.github/workflows/*.yml

# What bakes, reads and judges, without a run of the training.
QUICK := $(addprefix tests/test_,$(addsuffix .py,rung0_questions rung1_bakes rung2_answers readme kit kit_config kit_tracebacks contract_judges \
	spaces_as_gymnasium))
# A file's tests share what they have baked and trained: they stay in one process.
PYTEST := $(VENV_PYTHON) -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-quick test-all lint release

demo: .venv/.cookiecutter  ## bake the worked example, install it, test it, train it, evaluate it
	rm -rf build/demo && mkdir -p build/demo
	$(VENV_PYTHON) -m cookiecutter . --no-input --output-dir build/demo project_name="Corridor Demo" starter=corridor
	$(MAKE) -C $(DEMO) setup
	cd $(DEMO) && .venv/bin/python -m pytest -v
	cd $(DEMO) && .venv/bin/python -m corridor_demo train --name demo
	cd $(DEMO) && .venv/bin/python -m corridor_demo evaluate demo --video
	@echo "learning curve: $(DEMO)/runs/demo/learning_curve.png"

test: .venv/.test lint  ## the whole suite but for the long proofs, generated projects included
	$(PYTEST) -m "not slow"

test-quick: .venv/.test  ## under a minute: baking, and what needs no training
	$(PYTEST) -m "not slow" $(QUICK)

test-all: test  ## the long proofs too, one at a time: some of them end processes and machines
	$(VENV_PYTHON) -m pytest -m slow

lint: .venv/.test
	$(VENV_PYTHON) -m ruff check
	$(VENV_PYTHON) -m ruff format --check
	$(VENV_PYTHON) -m ruff check $(KIT)
	$(VENV_PYTHON) -m ruff format --check $(KIT)
	$(VENV_PYTHON) -m mypy
	.venv/bin/check-jsonschema --builtin-schema vendor.github-workflows $(WORKFLOWS)
	.venv/bin/zizmor --offline --no-progress --quiet $(WORKFLOWS)

release: VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
release:  ## all proofs, then the tag by which `update` finds this version; to be pushed by hand
	@test -z "$$(git status --porcelain)" || { echo "commit first: a tag holds what is committed"; exit 1; }
	$(MAKE) test-all
	git tag --annotate --message "$(VERSION)" "v$(VERSION)"

.venv/.cookiecutter: pyproject.toml
	$(PYTHON) -m venv .venv
	$(VENV_PYTHON) -m pip install --quiet .
	touch $@

# torch first: asked for later, pip may prefer a build that brings gigabytes of CUDA along.
.venv/.test: .venv/.cookiecutter
	$(VENV_PYTHON) -m pip install --quiet "torch==2.13.*"
	$(VENV_PYTHON) -m pip install --quiet ".[test]"
	touch $@
