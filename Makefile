# `make run` and `make test` set up all they need; nothing else has to be typed first.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
TEXT ?= 老夫聊发少年狂
# The shell gets it as a variable, so that it may hold quotation marks.
export TEXT

AXE := build/axe-core-4.14.1

.DEFAULT_GOAL := help
.PHONY: always help run poem test bench soak check format clean

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: .venv/serve  ## bot, worker and an embedded Redis-protocol server; Ctrl-C stops all
	@$(BIN)/python -m bot.standalone

poem: .venv/serve  ## one poem here and now: make poem TEXT=老夫聊发少年狂
	@$(BIN)/python -m engine write continue "$$TEXT"

test: .venv/develop $(AXE)  ## all tests
	@$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

bench: .venv/develop  ## how fast it is, end to end too (5 minutes); with PyTorch installed also against the tutorial's loop
	@$(BIN)/python -m tests.bench

soak: .venv/develop  ## every fault of docs/reliability.md at length (an hour); SOAK="workers flood" for some of them
	@$(BIN)/python -m tests.soak $(SOAK)

check: .venv/develop  ## format, lint and types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: .venv/develop  ## put the source in order
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean:  ## forget what was installed; data and runs stay
	rm -rf .venv

# Looked at each time: a .venv whose Python is gone, too old, not the one it was made with or not the one that is asked
# for with PYTHON=… is built anew; else it stays, and so do the stamps below.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
IDENTITY := import sys; print(sys.base_prefix, *sys.version_info[:2])
USABLE := import pip, re, sys; sys.exit(sys.version_info < (3, 11) or not \
	re.search(r"(?m)^version\w* = %d\.%d\b" % sys.version_info[:2], open(".venv/pyvenv.cfg").read()))
IS_ASKED_FOR := $(if $(filter file,$(origin PYTHON)),true,\
	test "$$($(BIN)/python -c '$(IDENTITY)')" = "$$($(PYTHON) -c '$(IDENTITY)')")

.venv/pyvenv.cfg: always
	@{ $(BIN)/python -c '$(USABLE)' && $(IS_ASKED_FOR); } 2>/dev/null || { \
	  $(PYTHON) -c '$(NEW_ENOUGH)' 2>/dev/null || { \
	    echo "Python 3.11 or newer is needed, and $(PYTHON) is $$($(PYTHON) --version 2>/dev/null || echo not there);" \
	      "name another one, as in: make $(firstword $(MAKECMDGOALS)) PYTHON=python3.12" >&2; exit 1; }; \
	  test -w . || { \
	    echo "this folder cannot be written to, and .venv belongs into it; make a copy in a folder of your own" >&2; exit 1; }; \
	  rm -rf .venv; \
	  $(PYTHON) -m venv .venv || { \
	    echo "$(PYTHON) cannot make a virtual environment; Debian and Ubuntu have that in the package python3-venv" >&2; \
	    exit 1; }; }

# A stamp a set of packages: made again when what it was made from changes.
.venv/serve: .venv/pyvenv.cfg pyproject.toml constraints.txt
	@echo "installing what serving needs into .venv ..."
	@$(PIP) --editable '.[local,picture]' || { echo "the packages could not be installed; is the package index reachable?" >&2; exit 1; }
	@touch $@

.venv/develop: .venv/serve
	@echo "installing what training and tests need into .venv ..."
	@$(PIP) --editable '.[local,picture,train,dev]' || { echo "the packages could not be installed; is the package index reachable?" >&2; exit 1; }
	@touch $@

# What looks for barriers on the page; the tests that need it skip themselves without.
$(AXE):
	@npm install --silent --no-save --fetch-retries=0 --prefix $@.new $(subst axe-core-,axe-core@,$(notdir $@)) >/dev/null 2>&1 \
	  && mv $@.new $@ || { rm -rf $@.new; echo "npm could not fetch axe-core: its tests will be skipped" >&2; }
