# Everything from one lock file, on a machine that has Python with venv and nothing else.
PYTHON ?= python3
BIN := .venv/bin
MODULES := nst_kernel pipeline jobs tests

# Compiled code is kept, whatever the environment says: without it each process of a test compiles torch and Ray anew.
unexport PYTHONDONTWRITEBYTECODE

LOCKING := --quiet --universal --generate-hashes --no-header --python-version 3.11

.PHONY: demo gallery pictures test test-quick test-all test-faults test-clusters test-stores test-rest breakages lint format bench bench-scale readmes manifests lock stack sbom encoder

# Installed anew when the lock or the project's own metadata changed.
.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	sed -n '/^uv==/,/^[a-z]/{/^uv==\|^ /p}' requirements.lock > .venv/uv.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.txt
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	touch $@

demo: .venv/installed ## stylise six pairs through Ray with the embedded encoder; look at demo/
	$(BIN)/python -m jobs.demo

# Encoders besides the embedded one: files that a folder beside this one may have.
GALLERY_WEIGHTS ?= $(wildcard ../shared/weights/*.pth)

gallery: .venv/installed ## a sheet of pictures for each control, into gallery/; ONLY="NAME NAME" for some
	$(BIN)/python -m jobs.gallery $(ONLY) $(addprefix --weights=,$(GALLERY_WEIGHTS))

pictures: .venv/installed ## the README's pictures anew, of drawn scenes: contact sheet, terminal, and with Chromium the report
	$(BIN)/python -m jobs.showcase

test: .venv/installed ## in two processes, of which one has the tests that share a Ray cluster
	$(BIN)/pytest -m "not slow" --numprocesses 2 --dist loadgroup

test-quick: .venv/installed ## without tests that start Ray
	$(BIN)/pytest -m "not slow and not ray" --numprocesses 2 --dist loadgroup

# The slow tests in parts, each of less than an hour on two cores. What no part names is in the last one.
FAULTS := tests/faults/test_table.py
CLUSTERS := $(addprefix tests/,$(addsuffix .py,faults/test_nodes faults/test_preemption \
  e2e/test_pools e2e/test_cluster_jobs e2e/test_two_runs_compared))
STORES := tests/faults/test_object_store.py tests/faults/test_storage_faults.py tests/faults/test_places.py

test-all: export NST_EXAMPLES ?= 100
test-all: test test-faults test-clusters test-stores test-rest ## the fast tests, with more drawn examples, and all slow ones

test-faults: .venv/installed ## killed drivers and actors, poison rows, two runs, many times each
	$(BIN)/pytest -m slow $(FAULTS)

test-clusters: .venv/installed ## clusters of several nodes, pools, submitted jobs
	$(BIN)/pytest -m slow $(CLUSTERS)

test-stores: .venv/installed ## a genuine S3 gateway, stores that are down, full disks
	$(BIN)/pytest -m slow $(STORES)

test-rest: .venv/installed ## a browser, the memory model, and all other slow tests
	$(BIN)/pytest -m slow $(addprefix --ignore=,$(FAULTS) $(CLUSTERS) $(STORES))

breakages: .venv/installed ## break the code line by line: each time a named fast test must fail; ONLY="ID ID" for some
	$(BIN)/python -m tests.breakages $(ONLY)

lint: .venv/installed
	$(BIN)/ruff format --check $(MODULES)
	$(BIN)/ruff check $(MODULES)
	$(BIN)/mypy

format: .venv/installed
	$(BIN)/ruff format $(MODULES)
	$(BIN)/ruff check --fix $(MODULES)

bench: .venv/installed
	$(BIN)/python -m tests.bench

bench-scale: .venv/installed ## a million rows, the pipeline's own costs, scaling; writes tests/bench/results/scale.json
	$(BIN)/python -m tests.bench.scale

encoder: .venv/installed ## learn the embedded encoder again
	$(BIN)/python -m jobs.training.train_encoder nst_kernel/encoder/embedded/vgg19_kmeans.safetensors

readmes: .venv/installed ## write the generated sections of the READMEs anew
	NST_WRITE_READMES=1 $(BIN)/pytest -q -m "not slow" -k "readme"

manifests: .venv/installed ## write the generated manifests of infra/kubernetes anew
	NST_WRITE_READMES=1 $(BIN)/pytest -q tests/infra/test_kubernetes.py -k "generated_manifests"

lock: .venv/installed ## resolve the dependencies again: for development, and of those what a machine needs to run jobs
	$(BIN)/uv pip compile $(LOCKING) --all-extras pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile $(LOCKING) --extra build --constraints requirements.lock pyproject.toml -o infra/runtime.lock

stack: .venv/installed ## an S3 store, a Ray cluster, Prometheus with the alerts, on loopback, until Ctrl-C
	$(BIN)/python -m tests.infra.support.stack

sbom: ## the software bill of materials of what runs jobs, CycloneDX JSON
	mkdir -p build
	$(PYTHON) infra/sbom.py infra/runtime.lock > build/sbom.json
