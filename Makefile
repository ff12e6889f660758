# make table   measure and print the table        make test   run every check and test
# Both first install what is missing: Debian packages with apt, a virtual environment in .venv.

PYTHON ?= python3
PROFILE ?= quick
ARGS ?=
BIN := .venv/bin
STAMP := .venv/.set-up
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check \
  --root-user-action=ignore $(if $(CONSTRAINTS),--constraint '$(CONSTRAINTS)')
# Empty for root and without sudo: then the command itself says that it needs root.
SUDO := $(shell [ "$$(id -u)" = 0 ] || command -v sudo)
SUITE ?= bookworm
BUSY ?=
CONSTRAINTS ?=
RUN ?= results/2026-11-29-vm-full
PYTHON_CHECK = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
  { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 …" >&2; exit 1; }
# What a replayed race imports; `make demo` is tested in a clean clone by tests/setup/test_demo.py.
DEMO_NEEDS := babel
UNIT_TESTS := --ignore=tests/system --ignore=tests/oci
# The system tests in parts that can run side by side; the last is all that no other names.
CONTAINER_TESTS := tests/oci tests/system/runtime
MACHINE_TESTS := tests/system/vms tests/system/notebooks
BROWSER_TESTS := tests/system/browser
LAB_TESTS := tests/system $(addprefix --ignore=,$(CONTAINER_TESTS) $(MACHINE_TESTS) $(BROWSER_TESTS))
PARTS := system-lab system-containers system-machines system-browser
CHECKS := lint types unit $(PARTS)
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup packages peers test-tools table demo doctor test lint types unit system lowest bare \
  constraints notebooks man completion conformance docs translations fuzz test-v2 vm-boots vm-cloudinit \
  clean-host $(PARTS)

help: ## list these commands
	@sed -nE 's/^([a-z0-9-]+):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20
	@echo 'Variables:'
	@echo '  PROFILE=quick|full         the profile of make table'
	@echo '  ARGS="…"                   arguments for the command that is run, such as pytest'
	@echo '  JOBS=2                     the checks and tests that make test runs at a time'
	@echo '  PYTHON=python3.12          the interpreter of the virtual environment'
	@echo '  CONSTRAINTS=constraints.txt   install the exact versions that the gate installs'
	@echo '  SUITE=bookworm|trixie, BUSY=1 for make bare'
	@echo '  RUN=results/…              the run of make demo'

table: setup ## measure containers and machines, print the table
	@$(SUDO) $(BIN)/tonnage table --profile $(PROFILE) $(ARGS)

test: setup ## run every check and test, two at a time; each prints at its end
	@$(BIN)/python -m tests.left_on_host $(MAKE) --no-print-directory --keep-going \
	  --jobs=$(JOBS) --output-sync=target $(CHECKS)

# The demonstration needs neither root nor Debian's packages: without .venv, a small environment does.
demo: ## replay a race of the committed full run, and open its page; needs no root
	@if [ ! -e $(STAMP) ] && [ ! -e .venv-demo/.set-up ]; then \
	  $(PYTHON_CHECK); \
	  echo "setting up .venv-demo with $$($(PYTHON) --version)"; \
	  $(PYTHON) -m venv --clear .venv-demo && .venv-demo/bin/python -m pip install --quiet \
	  --disable-pip-version-check --root-user-action=ignore \
	  $(if $(CONSTRAINTS),--constraint '$(CONSTRAINTS)') $(DEMO_NEEDS) && touch .venv-demo/.set-up; fi
	@python=.venv-demo/bin/python; [ ! -e $(STAMP) ] || python=$(BIN)/python; \
	  $$python -m lab race --replay $(RUN) $(ARGS)
	@echo "the page of this run: $(RUN)/report.html"
	@[ -z "$$DISPLAY$$WAYLAND_DISPLAY" ] || xdg-open $(RUN)/report.html >/dev/null 2>&1 || true

doctor: setup ## list what this host can and can't measure, and why
	@$(SUDO) $(BIN)/tonnage doctor $(ARGS)

setup: $(STAMP) ## install what is missing

as-root = if [ "$$(id -u)" = 0 ]; then $(BIN)/pytest $(1) $(ARGS); \
  else echo "$@ is skipped: its tests need root (sudo make test)"; fi

# libvirt's QEMU driver looks up an account that Debian 12's package does not create.
packages:
	@setup/packages setup/packages.txt
	@getent passwd libvirt-qemu >/dev/null || { echo 'adding the system account libvirt-qemu'; \
	  $(SUDO) useradd --system --user-group --home-dir /var/lib/libvirt --no-create-home \
	  --shell /usr/sbin/nologin libvirt-qemu; }

peers: packages ## install the peers, to be measured too: runc, podman, docker, LXC, skopeo, umoci, user-mode-linux, virt-install
	@setup/packages setup/peers.txt

test-tools: setup ## install the programs without which some tests are skipped: criu, passt, chromium
	@setup/packages setup/tests.txt
	@$(INSTALL) --editable '.[test,lint,browser,docs]'

# The packages come first, since they contain Python's venv; as order-only they never age the stamp.
$(STAMP): pyproject.toml setup/packages.txt setup/tonnage-oci | packages
	@$(PYTHON_CHECK)
	@echo "setting up .venv with $$($(PYTHON) --version)"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@$(INSTALL) --editable '.[test,lint]'
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
	@$(call as-root,tests/system tests/oci)

system-lab: setup
	@$(call as-root,$(LAB_TESTS))

system-containers: setup
	@$(call as-root,$(CONTAINER_TESTS))

system-machines: setup
	@$(call as-root,$(MACHINE_TESTS))

system-browser: setup
	@$(call as-root,$(BROWSER_TESTS))

lowest: packages ## run the unit tests with the lowest versions that pyproject.toml allows
	@$(PYTHON) -m venv --clear .venv-lowest
	@$(PYTHON) setup/lowest.py >.venv-lowest/constraints.txt
	@.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check \
	  --root-user-action=ignore --constraint .venv-lowest/constraints.txt --editable '.[test]'
	@.venv-lowest/bin/pytest $(UNIT_TESTS) $(ARGS)

constraints: setup ## write the installed versions to constraints.txt, for the gate
	@{ echo '# The versions that the gate installs; written by `make constraints`.'; \
	  $(BIN)/python -m pip freeze --exclude-editable; } >constraints.txt

notebooks: setup ## write the notebooks, without outputs, from their texts notebooks/*.md
	@$(BIN)/python setup/notebooks.py $(ARGS)

man: setup ## write the manual pages to build/man, from the parsers
	@$(BIN)/python setup/manual.py man build/man

completion: setup ## write completion scripts for bash and zsh to build/completion, from the parsers
	@$(BIN)/python setup/manual.py completion build/completion

docs: setup ## build the documentation as a site, in English and Chinese, in build/docs
	@$(INSTALL) --editable '.[docs]'
	@for language in en zh; do $(BIN)/python -m sphinx --quiet --nitpicky --fail-on-warning --keep-going \
	  --define language=$$language --doctree-dir build/docs/.doctrees/$$language \
	  docs build/docs/$$language || exit 1; done
	@cp docs/languages.html build/docs/index.html
	@echo "the documentation: build/docs/index.html"

translations: setup ## update the messages of docs/locale after a change of the pages
	@$(INSTALL) --editable '.[docs]'
	@$(BIN)/python -m sphinx --quiet --builder gettext --define nb_execution_mode=off --doctree-dir build/docs/.doctrees/messages \
	  docs build/docs/messages
	@$(BIN)/python setup/translations.py build/docs/messages

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
