# Each target sets up what it needs, once.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3.10 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
# Two processes share the tests; one that has none left takes half of what the other has.
SHARED := -n 2 --dist worksteal

.PHONY: setup jittor demo test test-fast browser test-slurm test-fresh bench lint clean

setup: .venv/.installed

# Debian's Python without python3-venv leaves an environment that lacks pip. And where Jittor is installed without what
# it asks for, pip would show that as an error: it is meant. Debian 12's pip would install Jittor without a record of its
# files, by which compiled code is shared between environments (ecgan/runtime/copied.py), but for --use-pep517.
.venv/.installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.10 to 3.14 is needed; say make PYTHON=/path/to/python3.11"; exit 1; }
	@$(BIN)/python -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --use-pep517 --quiet --disable-pip-version-check --no-deps 'jittor==1.3.11.0; python_version >= "3.13"'
	$(BIN)/python -m pip install --use-pep517 --quiet --disable-pip-version-check --no-warn-conflicts -c constraints.txt -e '.[dev]'
	@touch $@

# Compiles Jittor's core for this machine; says what is missing if that can't be.
jittor: setup
	@$(BIN)/python -m ecgan.runtime auto > /dev/null || { $(BIN)/python launch/doctor.py; exit 1; }

demo: jittor
	$(BIN)/python launch/demo.py

test: jittor
	$(BIN)/python -m pytest $(SHARED)

# What takes a minute or two once compiled; CONTRIBUTING.md explains the markers.
test-fast: jittor
	$(BIN)/python -m pytest $(SHARED) -m "not process and not slow and not slurm"

# Installs Debian's Chromium where it may: `make test` looks at the gallery with it, and does without if there is none.
browser:
	@command -v chromium > /dev/null || { test "$$(id -u)" = 0 && command -v apt-get > /dev/null && apt-get update -q \
		&& DEBIAN_FRONTEND=noninteractive apt-get install -q --yes --no-install-recommends chromium; } \
		|| echo "Chromium can't be installed here: the tests that need it will be skipped"

# Installs Debian's Slurm where it may, and runs what needs a real cluster on one of four nodes on this machine.
test-slurm: jittor
	$(BIN)/python -m slurm.devcluster install
	ECGAN_TEST_SLURM=1 $(BIN)/python -m pytest tests/slurm/cluster

# The README's two commands on a root of a Debian distribution: bookworm, trixie or sid. Needs root and debootstrap.
test-fresh:
	$(PYTHON) -m tests.fresh $(FRESH) $(DISTRIBUTION)

bench: jittor
	$(BIN)/python bench/generator.py $(BENCH)
	$(BIN)/python bench/training.py $(BENCH)
	$(BIN)/python bench/scale.py $(BENCH)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf .venv demo build *.egg-info
