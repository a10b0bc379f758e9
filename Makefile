# What one does with pyoci's sources. Every target brings what it needs; on a fresh Debian machine as root:
#   make demo     a container, seen from the inside
#   make test     every test
#   make install  pyoci, its man pages and completions below PREFIX (of the tree DESTDIR); make uninstall
PYTHON ?= python3
VENV := build/venv
RUN := $(VENV)/bin/python
JOBS ?= 2
PREFIX ?= /usr/local
DESTDIR ?=
C_FILES = $(shell git ls-files '*.c' '*.h')
SOURCES := $(wildcard csrc/*/*.c csrc/*/*.h csrc/*/*.py csrc/*/*.txt schemas/*.json) setup.py pyoci/start/boot.py pyoci/validate/generate.py

.PHONY: all setup tools build install uninstall wheel dist deb criu peers demo check test test-unit test-integration \
	test-security test-callers test-callers-core test-vm test-vm-core test-vm-all test-arm64 wheel-arm64 test-hosts \
	test-mutants conformance bench fuzz docs clean

all: build

setup:
	@PYTHON=$(PYTHON) tests/tools/install.sh $(VENV) building

# What tests need beside it
tools: setup
	@PYTHON=$(PYTHON) tests/tools/install.sh $(VENV) testing

build: setup build/.built

build/.built: $(SOURCES)
	@rm -f pyoci/_shim*.so pyoci/_shim.pyi pyoci/interpreter  # of an older build: Python would take the first for pyoci/_shim.py
	$(RUN) setup.py -q build_native --in-tree
	@touch $@

# PACKAGES names another directory for the Python package than Python's own below PREFIX
install:
	@PYTHON=$(PYTHON) tests/tools/install.sh $(VENV) $(if $(DESTDIR),building,installing)
	@$(RUN) -m csrc.build.install install --prefix "$(PREFIX)" --destdir "$(DESTDIR)" --packages "$(PACKAGES)" $(INSTALL_FLAGS)

uninstall:
	@$(PYTHON) -m csrc.build.install uninstall --prefix "$(PREFIX)" --destdir "$(DESTDIR)"

# A wheel for the Python, the compiler and the machine that are here: build/wheels
wheel: setup
	@$(RUN) -m csrc.build.install wheel

# What would be handed out, in dist: the source archive, this wheel, the conformance suite's; twine looks at them
dist: setup
	@rm -rf dist
	@$(RUN) -m csrc.build.install dist --into dist
	@[ -x build/twine/bin/twine ] || { $(RUN) -m venv build/twine && build/twine/bin/pip install -q twine; }
	build/twine/bin/twine check --strict dist/*

# A Debian package for the release that is here: build/deb. As root it installs what its build takes
DEB = build/deb/pyoci
deb:
	@rm -rf build/deb && mkdir -p $(DEB)
	@if [ -e .git ]; then git ls-files -z --cached --others --exclude-standard; else find . -path ./build -prune -o -type f -print0; fi | \
		tar -c --null --ignore-failed-read -T - 2>/dev/null | tar -x -C $(DEB)
	@[ "$$(id -u)" != 0 ] || tests/tools/build_dep.sh $(DEB)
	cd $(DEB) && PYOCI_COMMIT=$$(git -C ../../.. describe --always --dirty --abbrev=12 2>/dev/null || true) \
		dpkg-buildpackage -b -us -uc
	@ls build/deb/*.deb

demo: build
	@tests/tools/demo.sh build/bin/pyoci $(RUN)

# Lint, form, types, dead code, warnings as errors, the static analyzer, every fuzz target for two seconds: a minute or two
check: tools build
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/clang-format --dry-run -Werror $(C_FILES)
	$(VENV)/bin/mypy
	$(RUN) tests/tools/dead_code.py
	$(RUN) tests/tools/analyze.py
	$(RUN) tests/fuzz/run.py 2

# A CRIU that knows this kernel, for the tests of checkpoint and restore; where none can be had they say so and skip
criu:
	@tests/tools/criu.sh build/criu

# The newest runc and crun of Debian's packages, to be compared with
peers:
	@tests/tools/peers.sh build/peers

# The second half runs whatever the first one says
test: tools build criu
	@status=0; $(RUN) -m pytest -q -n $(JOBS) tests/unit tests/integration || status=1; \
	$(RUN) -m pytest -q -n $(JOBS) --dist loadfile tests/security || status=1; exit $$status

test-unit: tools build
	$(RUN) -m pytest -q -n $(JOBS) tests/unit

test-integration: tools build criu
	$(RUN) -m pytest -q -n $(JOBS) tests/integration

test-security: tools build
	$(RUN) -m pytest -q -n $(JOBS) --dist loadfile tests/security

# Debian's engines with runc, then with pyoci: writes this release's page in docs/engines, and docs/engines-table.md of all
RELEASE := $(or $(patsubst %,debian%,$(shell . /etc/os-release 2>/dev/null && echo $$VERSION_ID)),forky)
test-callers: tools build criu
	tests/callers/install.sh $(VENV) build/callers
	$(RUN) -m pytest -q -n $(JOBS) tests/callers --engines-table docs/engines/$(RELEASE).md; status=$$?; \
		$(RUN) tests/tools/engines_table.py; exit $$status

# What of it every change must pass
test-callers-core: tools build criu
	tests/callers/install.sh $(VENV) build/callers
	$(RUN) -m pytest -q -n $(JOBS) tests/callers -m core

# cgroup v2, systemd, AppArmor: makes the machine's image first, some minutes
test-vm: tools build
	tests/vm/run

# What of it every change must pass
test-vm-core: tools build
	tests/vm/run core

# All of it, in both machines; hours
test-vm-all: tools build
	tests/vm/all

# Debian 12, 13 and forky as trees of files, each with its own Pythons and compiler: demo, installation, every test
test-hosts:
	tests/hosts/hosts.py run $(HOSTS)

# In a machine of the other processor: docs/arm64.md
test-arm64: tools build
	PYOCI_VM_ARCH=arm64 tests/vm/run

# A wheel for it, built by its own Python and tried in the machine: build/wheels
wheel-arm64:
	PYOCI_VM_ARCH=arm64 tests/vm/wheel build/wheels

# conformance/ judges pyoci
conformance: tools build
	$(RUN) -m conformance --runtime build/bin/pyoci --jobs $(JOBS)

# and broken runtimes judge conformance/
test-mutants: tools build
	$(RUN) -m tests.mutants --runtime build/bin/pyoci

# Writes bench/results, in ten minutes; for figures the machine has to be idle. make bench BENCH="--quick run-true"
bench: tools build peers
	tests/tools/installed.sh $(RUN) build/bench matplotlib
	build/bench/bin/python -m bench $(BENCH)

# Every fuzz target for so long, on from what earlier runs have found: make fuzz SECONDS=3600
fuzz: tools build
	$(RUN) tests/fuzz/run.py --corpus build/fuzz/corpus $(or $(SECONDS),600)

# The documentation as a site: build/site/html. A link that leads nowhere ends it
docs: build/site-venv/.requirements
	build/site-venv/bin/python docs/site/build.py

build/site-venv/.requirements: docs/site/requirements.txt | setup
	$(PYTHON) -m venv build/site-venv
	build/site-venv/bin/pip install -q --disable-pip-version-check -r $<
	@touch $@

clean:
	rm -rf build pyoci/programs pyoci/_native*.so pyoci/linux/kernel.py pyoci/commit.py pyoci/plan/ops.py \
		pyoci/plan/ops.pyi pyoci/plan/words.py pyoci/seccomp/_library.py \
		pyoci/cgroups/systemd/_library.py pyoci/validate/_accept*.py
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
