# make table   measure and print the table        make test   run every check and test
# Both first install what is missing: Debian packages with apt, a virtual environment in .venv.

PYTHON ?= python3
PROFILE ?= quick
ARGS ?=
BIN := .venv/bin
STAMP := .venv/.set-up
# Empty for root and without sudo: then the command itself says that it needs root.
SUDO := $(shell [ "$$(id -u)" = 0 ] || command -v sudo)
SUITE ?= bookworm
BUSY ?=
CONSTRAINTS ?=
RUN ?= results/2026-11-29-vm-full
UNIT_TESTS := --ignore=tests/system --ignore=tests/oci

.DEFAULT_GOAL := help
.PHONY: help setup packages peers test-tools table demo doctor test lint types unit system lowest bare \
  constraints man completion conformance fuzz test-v2 vm-boots vm-cloudinit clean-host

help: ## list these commands
	@sed -nE 's/^([a-z0-9-]+):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20
	@echo 'Variables:'
	@echo '  PROFILE=quick|full         the profile of make table'
	@echo '  ARGS="…"                   arguments for the command that is run, such as pytest'
	@echo '  PYTHON=python3.12          the interpreter of the virtual environment'
	@echo '  CONSTRAINTS=constraints.txt   install the exact versions that the gate installs'
	@echo '  SUITE=bookworm|trixie, BUSY=1 for make bare'
	@echo '  RUN=results/…              the run of make demo'

table: setup ## measure containers and machines, print the table
	@$(SUDO) $(BIN)/tonnage table --profile $(PROFILE) $(ARGS)

test: lint types unit system ## run every check and test

demo: setup ## replay a race of the committed full run, and open its page; needs no root once set up
	@$(BIN)/tonnage race --replay $(RUN)
	@echo "the page of this run: $(RUN)/report.html"
	@[ -z "$$DISPLAY$$WAYLAND_DISPLAY" ] || xdg-open $(RUN)/report.html >/dev/null 2>&1 || true

doctor: setup ## list what this host can and can't measure, and why
	@$(SUDO) $(BIN)/tonnage doctor $(ARGS)

setup: $(STAMP) ## install what is missing

# libvirt's QEMU driver looks up an account that Debian 12's package does not create.
packages:
	@setup/packages setup/packages.txt
	@getent passwd libvirt-qemu >/dev/null || { echo 'adding the system account libvirt-qemu'; \
	  $(SUDO) useradd --system --user-group --home-dir /var/lib/libvirt --no-create-home \
	  --shell /usr/sbin/nologin libvirt-qemu; }

peers: packages ## install the peers, to be measured too: runc, podman, docker, LXC, skopeo, umoci, user-mode-linux, virt-install
	@setup/packages setup/peers.txt

test-tools: packages ## install the programs without which some tests are skipped: criu, passt, dnsmasq
	@setup/packages setup/tests.txt

# The packages come first, since they contain Python's venv; as order-only they never age the stamp.
$(STAMP): pyproject.toml setup/packages.txt setup/tonnage-oci | packages
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 …" >&2; exit 1; }
	@echo "setting up .venv with $$($(PYTHON) --version)"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --root-user-action=ignore $(if $(CONSTRAINTS),--constraint '$(CONSTRAINTS)') \
	  --editable '.[test,lint]'
	@touch $@

lint: setup ## run ruff
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: setup ## run mypy --strict
	@$(BIN)/mypy

unit: setup ## run the tests that need neither root nor network, and print their branch coverage
	@$(BIN)/coverage run -m pytest $(UNIT_TESTS) $(ARGS)
	@echo "coverage of the unit tests, branches included: $$($(BIN)/coverage report --format=total) %" \
	  "(by file: $(BIN)/coverage report)"

system: setup ## run the tests on real containers and machines; needs root
	@if [ "$$(id -u)" = 0 ]; then $(BIN)/pytest tests/system tests/oci $(ARGS); \
	else echo "tests/system and tests/oci are skipped: they need root (sudo make test)"; fi

lowest: packages ## run the unit tests with the lowest versions that pyproject.toml allows
	@$(PYTHON) -m venv --clear .venv-lowest
	@$(PYTHON) setup/lowest.py >.venv-lowest/constraints.txt
	@.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check \
	  --root-user-action=ignore --constraint .venv-lowest/constraints.txt --editable '.[test]'
	@.venv-lowest/bin/pytest $(UNIT_TESTS) $(ARGS)

constraints: setup ## write the installed versions to constraints.txt, for the gate
	@{ echo '# The versions that the gate installs; written by `make constraints`.'; \
	  $(BIN)/python -m pip freeze --exclude-editable; } >constraints.txt

man: setup ## write the manual pages to build/man, from the parsers
	@$(BIN)/python setup/manual.py man build/man

completion: setup ## write completion scripts for bash and zsh to build/completion, from the parsers
	@$(BIN)/python setup/manual.py completion build/completion

bare: ## run make table and make test in a bare Debian tree that shares only the kernel
	@$(SUDO) .ci/bare $(if $(BUSY),--busy) $(SUITE)

fuzz: setup ## run thousands of configurations: each gives a container or one sentence, and no leftovers
	@mkdir -p results/fuzz; $(SUDO) env TONNAGE_FUZZ=30000 $(BIN)/pytest -q --timeout 3600 \
	  --hypothesis-show-statistics tests/runtime/spec/test_fuzz.py \
	  tests/system/runtime/test_fuzz_config.py $(ARGS) >results/fuzz/record.txt; \
	  status=$$?; cat results/fuzz/record.txt; exit $$status

test-v2: setup ## run the runtime's tests in a machine with cgroup v2 alone and systemd
	@$(SUDO) $(BIN)/python tests/v2/run.py $(ARGS)

conformance: setup ## test an OCI runtime (RUNTIME=…, else ours) against the specification
	@suite=0; for apart in 0 1; do $(SUDO) env TONNAGE_OCI_RUNTIME='$(RUNTIME)' \
	  TONNAGE_OCI_APART=$$apart $(BIN)/pytest tests/oci $(ARGS) || suite=$$?; done; \
	  $(SUDO) env RUNTIME_TOOLS='$(RUNTIME_TOOLS)' PATH="$$PATH" \
	  $(BIN)/python tests/oci/validation.py $(if $(RUNTIME),--runtime '$(RUNTIME)') && exit $$suite

vm-boots: setup ## boot a microvm 200 times, 100 of them on a busy host, and count hangs
	@for busy in 0 4; do $(SUDO) $(BIN)/python -m benchmarks.machines.boot --boots 100 --busy $$busy \
	  --out results/vm-boots/busy-$$busy.json $(ARGS) || exit 1; done

vm-cloudinit: setup ## boot a cloud image with a seed, and check what cloud-init did
	@$(SUDO) $(BIN)/python -m benchmarks.machines.cloud_init --out results/vm-cloudinit/record.json $(ARGS)

clean-host: setup ## remove what killed runs left behind
	@$(SUDO) $(BIN)/tonnage clean
