# Two commands do all the set-up on a fresh machine with Python 3.11+ and make: `make demo` and `make test`.
PYTHON ?= python3
# Tests that run at once, by files; each of them may start emulators of its own. One more than the two cores of a small
# machine: a quarter of the time a test waits for an emulator or for a clock.
JOBS ?= 3
BIN := .venv/bin
# Where the environment asks that no bytecode be kept, hundreds of processes of the tests would compile each file anew.
unexport PYTHONDONTWRITEBYTECODE
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo cloud-demo web test shake sim chaos check check-style check-types check-imports check-infra bench constraints deploy destroy clean

demo: .venv/local  ## make a real film on this machine and say where it is
	@mkdir -p demo
	$(BIN)/longreel make examples/lighthouse.yaml -o demo/film.mp4 --overwrite --home demo/home

cloud-demo: .venv/dev  ## make a film by all cloud functions on Google's own emulators, and say what it took
	@$(BIN)/python -m tests.cloud.demo

web: tests/web/node_modules/.package-lock.json  ## the Firebase JS SDK, for the tests in a browser and the cloud demo

test: .venv/dev  ## all tests; those that need a program that is not here say how to get it
	$(BIN)/pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder

shake: .venv/dev  ## the property tests, with many more examples
	$(BIN)/pytest --hypothesis-profile=shake tests/unit tests/media

# A fault that `make sim` finds is repeated by the command that it prints.
SEED ?= 0
COUNT ?= 10000
sim: .venv/dev  ## many simulated histories under faults; SEED=, COUNT=, OPTIONS=, PREFIX=, AIM=
	@$(BIN)/python -m tests.simulation --seed $(SEED) --count $(COUNT) --options "$(OPTIONS)" --aim "$(AIM)" $(if $(PREFIX),--prefix $(PREFIX))

# Chance picks a seed for chaos where none is given; each run says which.
KILLS ?=
chaos: .venv/dev  ## kill the real thing by -9: the embedded program 200 times, the cloud's functions 100 times; SEED=, KILLS=
	@$(BIN)/python -m tests.chaos.embedded $(if $(filter command line environment,$(origin SEED)),--seed $(SEED)) $(if $(KILLS),--kills $(KILLS))
	@$(BIN)/python -m tests.chaos.cloud $(if $(filter command line environment,$(origin SEED)),--seed $(SEED)) $(if $(KILLS),--kills $(KILLS))

check: .venv/dev  ## format, lint, types, import contracts, and infra/ by a real terraform
	@$(MAKE) --no-print-directory --jobs 2 $(OUTPUT_SYNC) check-style check-types check-imports check-infra

# The make of macOS, 3.81, does not know it; there the lines of two checks may mix.
OUTPUT_SYNC := $(if $(filter output-sync,$(.FEATURES)),--output-sync)

check-style: .venv/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

check-types: .venv/dev
	$(BIN)/mypy

check-imports: .venv/dev
	$(BIN)/lint-imports

check-infra: .venv/dev
	@$(BIN)/python -m tests.infra.check

bench: .venv/bench  ## what the README's figures are made of; takes a while
	$(BIN)/python -m benchmarks.orchestration --json benchmarks/results/orchestration.json
	$(BIN)/python -m benchmarks.stitch --json benchmarks/results/stitch.json
	$(BIN)/python -m benchmarks.stitch_memory
	$(BIN)/python -m benchmarks.cold_start --json benchmarks/results/cold_start.json
	$(BIN)/python -m docs.figures --write

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Longreel needs Python 3.11 or later; name one: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv

.venv/local: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) --editable '.[local]'
	@touch $@

.venv/dev: .venv/bin/python pyproject.toml constraints.txt requirements.txt
	$(PIP) --requirement requirements.txt --editable '.[local,dev]'
	@touch $@ .venv/local

tests/web/node_modules/.package-lock.json: tests/web/package.json tests/web/package-lock.json
	@command -v npm >/dev/null || { echo 'This needs npm: install Node.js 20 or later'; exit 69; }
	npm ci --prefix tests/web
	@touch $@

.venv/bench: .venv/dev
	$(PIP) --editable '.[bench]'
	$(PYTHON) -m venv .venv/moviepy
	.venv/moviepy/bin/pip install --quiet --disable-pip-version-check moviepy==2.2.1
	@touch $@

constraints: .venv/dev  ## pin what is installed
	@{ echo '# Every package of every extra, pinned, made by `make constraints`.'; \
	   $(BIN)/pip freeze --exclude-editable | grep -v -i -E '^(huey|moviepy)=='; } > constraints.txt

# What is given on the command line reaches the scripts as variables; each says at its top which there are.
export PROJECT REGION ENVIRONMENT GPU SMOKE YES FROM DELETE_FILMS
deploy:  ## Longreel into a project of Google Cloud; PROJECT=, REGION=, SMOKE=veo, YES=1, FROM=
	@infra/deploy.sh

destroy:  ## take it down again, but for films and jobs; PROJECT=, REGION=, DELETE_FILMS=1
	@infra/destroy.sh

clean:
	rm -rf .venv demo
