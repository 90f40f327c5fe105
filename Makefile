# `make` alone lists the targets. Everything happens in .venv; nothing outside this folder is changed, except by
# `make install` and `uninstall`, and that `make test` as root installs Debian packages that the tests use
# (tests/packages.txt).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Where `install` and `deb` put things.
PREFIX ?= /usr/local
UNITS ?= $(if $(filter /usr /usr/local,$(PREFIX)),$(PREFIX)/lib/systemd/system,/etc/systemd/system)
DIST ?= dist
DEBARCH ?= $(shell dpkg --print-architecture 2>/dev/null)
DEBFLAGS ?= -Zxz
export PIP_DISABLE_PIP_VERSION_CHECK := 1

help: ## print this list
	@sed -n 's/^\([a-z-]*\):.*## /\1 /p' $(MAKEFILE_LIST) | while read -r name about; do printf '%-13s %s\n' "$$name" "$$about"; done

run: $(VENV)/installed ## make the environment, install, and serve (ARGS="--set server.port=9090" adds options)
	$(BIN)/mjpegd run $(ARGS)

test: $(VENV)/test-installed packages lint types cover ## install all that the tests need, and run every check

lint: $(VENV)/test-installed ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/test-installed ## mypy, strict, tests included
	$(BIN)/mypy

cover: $(VENV)/test-installed ## the tests, with line coverage of mjpegd/ (ARGS="-k name" chooses)
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=90

bench: $(VENV)/test-installed packages ## measure against uStreamer and the limit (ARGS="--quick --only many")
	$(BIN)/python bench/run.py $(ARGS)

bench-viewers: $(VENV)/bench-installed packages ## many viewers: a thousand, slow ones, renditions, trouble (ARGS="--quick")
	$(BIN)/python bench/run.py viewers $(ARGS)

bench-cameras: $(VENV)/test-installed packages ## measure with five RTSP cameras, watched and not (ARGS="--quick")
	$(BIN)/python bench/cameras.py $(ARGS)

format: $(VENV)/test-installed ## let ruff write the format, and mjpegd its example and tables
	$(BIN)/ruff format .
	$(BIN)/mjpegd config --example > mjpegd.toml
	$(BIN)/python docs/tables.py

install: ## a systemd service, in an environment of its own (PREFIX=/usr/local DESTDIR=), with /etc/mjpegd
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' UNITS='$(UNITS)' PYTHON='$(PYTHON)' sh systemd/install.sh

uninstall: ## take that away again, but for /etc/mjpegd and the state
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' UNITS='$(UNITS)' sh systemd/uninstall.sh

deb: $(VENV)/bin/python ## dist/mjpegd_VERSION_ARCH.deb for Debian 12, complete: it installs without a network (DEBARCH=arm64)
	@PYTHON='$(BIN)/python' DIST='$(DIST)' DEBARCH='$(DEBARCH)' DEBFLAGS='$(DEBFLAGS)' sh systemd/deb/build.sh

edge: $(VENV)/bin/python ## the service in a Debian guest with a USB camera: install, unplug, freeze, power cut (ARGS="--list")
	$(BIN)/python tests/edge/run.py $(ARGS)

packages: ## the Debian packages of tests/packages.txt, if root; else say what is missing
	@sh tests/packages.sh

clean: ## remove everything that was made
	rm -rf $(VENV) build dist *.egg-info bench/build bench/native/build .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'mjpegd needs Python 3.11 or later: make PYTHON=python3.11 run'; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -qq -y python3-venv; } || { echo 'the venv module is missing: apt-get install python3-venv'; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python setup.cfg pyproject.toml
	$(BIN)/pip install --quiet --editable .
	@touch $@

$(VENV)/test-installed: $(VENV)/installed
	$(BIN)/pip install --quiet --editable '.[test]'
	@touch $@

$(VENV)/bench-installed: $(VENV)/test-installed
	$(BIN)/pip install --quiet --editable '.[bench]'
	@touch $@

.PHONY: help run test lint types cover bench bench-viewers bench-cameras format install uninstall deb edge packages clean
