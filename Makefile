# make table   measure, print the table        make test   every check and test
# Both set up what is missing first: Debian packages with apt, a virtual environment in .venv.

PYTHON ?= python3
PROFILE ?= quick
ARGS ?=
BIN := .venv/bin
STAMP := .venv/.set-up
# Without sudo the command itself says that it needs root.
SUDO := $(shell [ "$$(id -u)" = 0 ] || command -v sudo)
SUITE ?= bookworm
BUSY ?=

.DEFAULT_GOAL := help
.PHONY: help setup packages peers test-tools table doctor test bare lint types unit system conformance fuzz test-v2 vm-boots vm-cloudinit clean-host

help: ## what can be made
	@sed -nE 's/^([a-z0-9-]+):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20
	@echo '  PROFILE=quick|full, ARGS="…" for the command, PYTHON=… for the virtual environment'
	@echo '  SUITE=bookworm|trixie, BUSY=1 for make bare'

table: setup ## measure containers and machines, print the table
	@$(SUDO) $(BIN)/tonnage table --profile $(PROFILE) $(ARGS)

test: lint types unit system ## lint, types and every test

doctor: setup ## what this host can measure, what it can't and why
	@$(SUDO) $(BIN)/tonnage doctor $(ARGS)

setup: $(STAMP) ## install what is missing

# libvirt's QEMU driver looks up an account that Debian 12's package of it does not make.
packages:
	@setup/packages setup/packages.txt
	@getent passwd libvirt-qemu >/dev/null || { echo 'adding the system account libvirt-qemu'; \
	  $(SUDO) useradd --system --user-group --home-dir /var/lib/libvirt --no-create-home \
	  --shell /usr/sbin/nologin libvirt-qemu; }

peers: packages ## install the peers to measure beside: crun, runc, podman, docker, user-mode-linux, virt-install
	@setup/packages setup/peers.txt

test-tools: packages ## install what some tests use beside, and skip without: criu, passt, dnsmasq
	@setup/packages setup/tests.txt

# The packages come first, since they hold Python's own venv; they alone never make the stamp old.
$(STAMP): pyproject.toml setup/packages.txt setup/tonnage-oci | packages
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 …" >&2; exit 1; }
	@echo "setting up .venv with $$($(PYTHON) --version)"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --root-user-action=ignore --editable '.[test]'
	@touch $@

lint: setup ## ruff
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: setup ## mypy --strict
	@$(BIN)/mypy

unit: setup ## the tests that need neither root nor network
	@$(BIN)/pytest --ignore=tests/system --ignore=tests/oci $(ARGS)

system: setup ## the tests on real containers and machines; need root
	@if [ "$$(id -u)" = 0 ]; then $(BIN)/pytest tests/system tests/oci $(ARGS); \
	else echo "tests/system and tests/oci are skipped: they need root (sudo make test)"; fi

bare: ## make table and make test in a bare Debian tree, with nothing of this host but its kernel
	@$(SUDO) .ci/bare $(if $(BUSY),--busy) $(SUITE)

fuzz: setup ## configurations by the thousand: a container or one sentence, and nothing left
	@mkdir -p results/fuzz; $(SUDO) env TONNAGE_FUZZ=30000 $(BIN)/pytest -q --timeout 3600 \
	  --hypothesis-show-statistics tests/runtime/spec/test_fuzz.py \
	  tests/system/runtime/test_fuzz_config.py $(ARGS) >results/fuzz/record.txt; \
	  status=$$?; cat results/fuzz/record.txt; exit $$status

test-v2: setup ## the runtime's tests on cgroup v2 alone and systemd, in a machine booted for it
	@$(SUDO) $(BIN)/python tests/v2/run.py $(ARGS)

conformance: setup ## an OCI runtime (RUNTIME=…, else ours) against the specification
	@suite=0; for apart in 0 1; do $(SUDO) env TONNAGE_OCI_RUNTIME='$(RUNTIME)' \
	  TONNAGE_OCI_APART=$$apart $(BIN)/pytest tests/oci $(ARGS) || suite=$$?; done; \
	  $(SUDO) env RUNTIME_TOOLS='$(RUNTIME_TOOLS)' PATH="$$PATH" \
	  $(BIN)/python tests/oci/validation.py $(if $(RUNTIME),--runtime '$(RUNTIME)') && exit $$suite

vm-boots: setup ## 200 boots of a microvm, 100 of them on a busy host: does one hang?
	@for busy in 0 4; do $(SUDO) $(BIN)/python -m benchmarks.machines.boot --boots 100 --busy $$busy \
	  --out results/vm-boots/busy-$$busy.json $(ARGS) || exit 1; done

vm-cloudinit: setup ## a cloud image with cloud-init inside: does it do what its seed says?
	@$(SUDO) $(BIN)/python -m benchmarks.machines.cloud_init --out results/vm-cloudinit/record.json $(ARGS)

clean-host: setup ## remove what killed runs have left
	@$(SUDO) $(BIN)/tonnage clean
