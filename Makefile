# Without ROS: `make demo` and `make test` set everything up in .venv and run. With ROS: colcon build.
#   make demo [SCENE=room|tabletop|street|FILE]    make test [ARGS="-k clicks"]
#   make test-fast    make test-long    make lint    make docs    make colcon    make clean
#   PYTHON=python3.12 chooses the Python (3.11 or 3.12 for the ROS part; 3.10 and 3.13 give the library)

# .venv is complete in itself: a sourced ROS, or another environment's libraries, must not mix with it.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV LD_LIBRARY_PATH AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE ROS_DISTRO RMW_IMPLEMENTATION
export ROS_AUTOMATIC_DISCOVERY_RANGE ?= LOCALHOST
SHELL := /bin/bash
BIN := .venv/bin
PYTHON ?=
SCENE ?= room
ARGS ?=
SETUP = "$$(command -v python3 || command -v python3.12 || command -v python3.11 || echo python3)" tools/environment.py --python "$(PYTHON)"

.PHONY: help setup demo test test-fast test-long lint docs docs-pages docs-check pictures wheel colcon clean

help:
	@sed -n '2,5p' Makefile

setup:
	@$(SETUP)

demo: setup
	@$(BIN)/iseg3d demo "$(SCENE)"

test:
	@$(SETUP) --browser
	@tools/check.sh $(ARGS)

# Unit tests without the slow ones (test/slow_tests.txt): 90 s on two cores at most.
test-fast: setup
	@$(BIN)/python -m pytest test/unit -q -m "not slow" -n 2 $(ARGS)

# What takes long (tools/long.sh): kill -9, mutated files, tests beside a busy machine; the output is left in out/long/.
test-long: setup
	@tools/long.sh $(ARGS)

lint: setup
	@$(BIN)/ruff check . && $(BIN)/mypy

# The site, in out/site. The tables and the picture that are made from the source are brought up to date first.
docs: setup docs-pages
	@$(BIN)/python -m mkdocs build --strict

docs-pages: setup
	@$(BIN)/python tools/docs_pages.py

# Every command and every piece of Python in the documentation.
docs-check: setup
	@$(BIN)/python tools/docs_check.py

# The documentation's pictures of the console, made in a real browser.
pictures:
	@$(SETUP) --browser
	@$(BIN)/python tools/pictures.py

# The wheel, built, installed into an empty environment and used there.
wheel: setup
	@$(BIN)/python tools/wheel_trial.py

# The package built and tested as on a robot: colcon, plain and with symlinks, on the wheels.
colcon: setup
	@$(BIN)/python tools/colcon_trial.py

clean:
	rm -rf .venv build install log out *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
