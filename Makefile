# Everything a contributor does, by one word. Needs Python >= 3.11 with venv, a C++20 compiler and make;
# the rest (CMake, ninja, Cython, test tools, TensorFlow) is installed into .venv by the targets that use it.
#
#   make demo         build, save and read a checkpoint of 1 GiB, and show what that takes
#   make test         C++ tests, Python tests, and interop with real TensorFlow
#   make test-extras  sanitizers, wheel and benchmark smoke, four versions of protobuf, PyTorch, JAX,
#                     OpenVINO, documentation
#   make check        formatters, linters, types, stubs, layering
#   make build        compile and install into .venv
#   make wheel        an audited abi3 wheel and an sdist in dist/
#   make bench        the benchmarks (BENCH="--case NAME …" for some of them)
#   make docs         the documentation, in build/docs/
#   make crashtest    1500 random kills and every power cut, on the file system of CRASH_DIR
#   make clean        remove what was built (make distclean: .venv too)
#
# Helpers: test-cpp test-python test-interop test-frameworks test-protobuf asan tsan asan-python fuzz format.
# Variables: PYTHON (creates .venv), JOBS, PYTEST_ARGS; for fuzz FUZZ_SECONDS or FUZZ_RUNS for each target,
# FUZZ_TARGETS (names, all by default), CLANGXX (Clang 16 or later); for crashtest CRASH_DIR, CRASH_RANDOM.

PYTHON ?= python3
JOBS ?= $(shell getconf _NPROCESSORS_ONLN)
PYTEST_ARGS ?=
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?=
CRASH_DIR ?= build
CRASH_RANDOM ?= 1500
CLANGXX ?= clang++
BENCH ?=

VENV := .venv
BIN := $(VENV)/bin
# With the environment's tools first, for those that call one another through PATH.
RUN := PATH="$(CURDIR)/$(BIN):$$PATH"
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
REPORTS := build/reports
MODULE := build/.installed

export CMAKE_BUILD_PARALLEL_LEVEL := $(JOBS)
# Tests see the installed package and nothing from the caller's environment.
unexport PYTHONPATH PYTHONHOME

SOURCES := CMakeLists.txt pyproject.toml README.md LICENSE \
  $(shell find src python cmake -name __pycache__ -prune -o \( -type f -o -type d \) -print)
CPP_FILES = $(shell find src tests/cpp tests/fuzz benchmarks/cpp \
  \( -name '*.cc' -o -name '*.h' \) -not -name '_core.*' 2>/dev/null)
CYTHON_FILES = $(wildcard src/binding/*.pyx src/binding/*.pxd src/binding/*.pxi)
CMAKE_FILES = $(shell find CMakeLists.txt cmake src tests benchmarks \
  \( -name CMakeLists.txt -o -name '*.cmake' \) 2>/dev/null)
PYTHON_DIRS = $(wildcard python tests scripts benchmarks examples docs)

.PHONY: demo test check build bench docs wheel clean test-extras
.PHONY: test-cpp test-python test-interop test-frameworks test-protobuf asan tsan asan-python fuzz crashtest
.PHONY: format distclean
.PHONY: bench-smoke
# Two installs at once would spoil the environment; compilers run in parallel all the same (JOBS).
.NOTPARALLEL:
.DELETE_ON_ERROR:
.SUFFIXES:

# --- the faces -------------------------------------------------------------------------------------

demo: $(MODULE)
	$(BIN)/fastckpt demo

test: test-cpp test-python test-interop

test-extras: asan tsan asan-python wheel bench-smoke test-protobuf test-frameworks
	@if [ -f docs/conf.py ]; then $(MAKE) --no-print-directory docs; fi

build: $(MODULE)

check: $(MODULE) $(VENV)/.group-dev
	$(BIN)/ruff check $(PYTHON_DIRS)
	$(BIN)/ruff format --check $(PYTHON_DIRS)
	$(BIN)/mypy
	$(RUN) MYPYPATH=python $(BIN)/stubtest --mypy-config-file pyproject.toml fastckpt._core
	$(RUN) $(BIN)/cython-lint $(CYTHON_FILES)
	$(BIN)/clang-format --dry-run -Werror $(CPP_FILES)
	$(BIN)/gersemi --check $(CMAKE_FILES)
	$(BIN)/typos
	$(BIN)/python -m pytest -q tests/typing

format: $(VENV)/.group-dev
	$(BIN)/ruff check --fix-only --exit-zero $(PYTHON_DIRS)
	$(BIN)/ruff format $(PYTHON_DIRS)
	$(BIN)/clang-format -i $(CPP_FILES)
	$(BIN)/gersemi --in-place $(CMAKE_FILES)

bench: $(MODULE) $(VENV)/.group-bench
	$(BIN)/python benchmarks/run.py $(BENCH)

bench-smoke: $(MODULE) $(VENV)/.group-bench
	@if [ -f benchmarks/run.py ]; then $(BIN)/python benchmarks/run.py --smoke; fi

docs: $(MODULE) $(VENV)/.group-docs
	$(BIN)/python -m sphinx -W --keep-going -b html docs build/docs

# The wheel is built from the unpacked sdist, which proves that the sdist is complete.
wheel: $(VENV)/.group-build $(VENV)/.group-wheel
	rm -rf build/wheel dist
	$(RUN) $(BIN)/python -m build --no-isolation --outdir build/wheel .
	sh scripts/audit_wheel.sh $(BIN) build/wheel dist
	sh scripts/wheel_smoke.sh $(BIN)/python dist

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

distclean: clean
	rm -rf $(VENV)

# --- tests -----------------------------------------------------------------------------------------

test-cpp: $(VENV)/.group-build
	$(RUN) cmake --preset dev
	$(RUN) cmake --build --preset dev
	$(RUN) ctest --test-dir build/dev --output-on-failure

# Some of these use TensorFlow where it is there.
test-python: $(MODULE) $(VENV)/.group-test $(VENV)/.group-interop
	$(BIN)/python -m pytest --ignore=tests/interop --ignore=tests/frameworks \
	  --junitxml=$(REPORTS)/python.xml $(PYTEST_ARGS)

# Python versions for which TensorFlow has no build are told so; .ci/run accepts no such excuse.
test-interop: $(MODULE) $(VENV)/.group-test $(VENV)/.group-interop
	@rm -f $(REPORTS)/interop.xml
	@if $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 14))'; then \
	  echo "interop: not run, TensorFlow 2.21 has no build for this Python (make PYTHON=python3.13 …)"; \
	else \
	  $(BIN)/python -m pytest tests/interop --junitxml=$(REPORTS)/interop.xml $(PYTEST_ARGS); \
	fi

# Libraries that users bring and that weigh hundreds of megabytes.
test-frameworks: $(MODULE) $(VENV)/.group-test $(VENV)/.group-interop $(VENV)/.group-frameworks
	@rm -f $(REPORTS)/frameworks.xml
	$(BIN)/python -m pytest tests/frameworks --junitxml=$(REPORTS)/frameworks.xml $(PYTEST_ARGS)

# Protobuf 4.25 to 7, each in an environment that is thrown away.
test-protobuf: $(MODULE) $(VENV)/.group-interop
	$(BIN)/python scripts/check_protobuf_versions.py

asan tsan: $(VENV)/.group-build
	$(RUN) cmake --preset $@
	$(RUN) cmake --build --preset $@
	$(RUN) ctest --test-dir build/$@ --output-on-failure

# The extension module under ASan and UBSan, on the tests that feed it damaged files.
asan-python: $(MODULE) $(VENV)/.group-test
	$(RUN) sh scripts/asan_python.sh $(BIN)/python build/asan-python

fuzz: $(VENV)/.group-build
	@command -v $(CLANGXX) >/dev/null || { echo "make fuzz needs $(CLANGXX) (libFuzzer)"; exit 1; }
	$(RUN) cmake --preset fuzz -DCMAKE_CXX_COMPILER=$(CLANGXX) \
	  -DCMAKE_C_COMPILER=$(subst clang++,clang,$(CLANGXX))
	$(RUN) cmake --build --preset fuzz
	FUZZ_RUNS=$(FUZZ_RUNS) sh scripts/run_fuzzers.sh build/fuzz tests/fuzz/corpus $(FUZZ_SECONDS) \
	  $(FUZZ_TARGETS)

crashtest: $(MODULE)
	$(BIN)/fastckpt crashtest $(CRASH_DIR) --random $(CRASH_RANDOM)

# --- set-up ----------------------------------------------------------------------------------------

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "fastckpt needs Python >= 3.11; name one: make PYTHON=python3.12 …"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -q --upgrade "pip>=25.1"
	touch $@

# One stamp a dependency group, renewed when pyproject.toml changes.
$(VENV)/.group-%: $(VENV)/.created pyproject.toml
	$(PIP) install -q --group $*
	touch $@

# The build folder is kept, so that only what changed is compiled again.
$(MODULE): $(VENV)/.group-build $(SOURCES)
	@mkdir -p build
	$(RUN) $(PIP) install -q --no-build-isolation -Cbuild-dir=build/module .
	touch $@
