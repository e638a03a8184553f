# The commands of the README. `.venv` is created when it is missing or when the lock files have changed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BATCH ?= 2026010203
export DAGSTER_HOME = $(CURDIR)/.dagster
export PIP_DISABLE_PIP_VERSION_CHECK = 1

# Bytecode is written of the modules that are imported, at their first import, rather than of all: 64 MB, not 206.
NO_COMPILE = $(if $(PYTHONDONTWRITEBYTECODE),,--no-compile)

# The sample is generated where no tickets of your own are named, in the environment or in local.env.
SAMPLE = if [ -z "$${TICKETS_URL}$${DB_ARN}" ] && ! grep -qsE '^(TICKETS_URL|DB_ARN)=.' local.env \
	&& [ ! -f gata-sample.sqlite ]; then \
	echo "==> Generating a sample"; $(BIN)/gata sample-data; fi

.PHONY: run ui test-fast test soak browser java prometheus redis check docs bench lock clean

run: $(VENV)/.ready-to-run | .dagster
	@$(SAMPLE)
	@echo "==> Preparing batch $(BATCH)"
	@$(BIN)/gata prepare $(BATCH) --summary table --rows 2
	@echo
	@echo "==> The newest ticket of the lake, as applications read it"
	@$(BIN)/gata lake get --tenant sample || true
	@echo
	@echo "Next:"
	@echo "  $(BIN)/gata batches show $(BATCH)   its labels, windows, settings"
	@echo "  $(BIN)/gata doctor                    checks what a batch needs"
	@echo "  make ui                                  Dagster's UI on the same data"

ui: $(VENV)/.ready-to-run | .dagster
	@$(SAMPLE)
	@echo "==> Starting the Dagster UI"
	@$(BIN)/gata ui

# Three tiers: `test-fast` while working, `test` for every change, `soak` with full counts, sizes and matrices.
# BROWSER=no, SPARK=no, PROMETHEUS=no and REDIS=no leave out the tests that need a browser, Java, Prometheus or Redis;
# ORDER=random shuffles the tests, by a seed that is shown (ORDER=random SEED=1 for a given one); WORKERS is how many
# processes run them: two more than there are cores, since tests wait for processes and servers. COVERAGE=yes measures
# what tests cover: as a rule where Python has sys.monitoring (3.12); before, it costs 65 % more processor time.
WORKERS ?= 4
NO_BROWSER = $(filter no,$(BROWSER))
NO_SPARK = $(filter no,$(SPARK))
NO_PROMETHEUS = $(filter no,$(PROMETHEUS))
NO_REDIS = $(filter no,$(REDIS))
WITHOUT = $(if $(NO_BROWSER), and not browser)$(if $(NO_SPARK), and not spark)$(if $(NO_PROMETHEUS), and not prometheus)$(if $(NO_REDIS), and not redis)
PROGRAMS = $(if $(NO_BROWSER),,browser) $(if $(NO_SPARK),,java) $(if $(NO_PROMETHEUS),,prometheus) $(if $(NO_REDIS),,redis)
SHUFFLED = $(if $(filter random,$(ORDER)),-p randomly$(if $(SEED), --randomly-seed=$(SEED)))
HAS_MONITORING = $(shell $(BIN)/python -c 'import sys; print("yes" * (sys.version_info >= (3, 12)))')
COVERAGE ?= $(HAS_MONITORING)
COVERED = $(if $(filter yes,$(COVERAGE)),--cov=gata_assets --cov-report=term:skip-covered)
# Each of thousands of small files is flushed to the disk, which takes a fifth of the time: where memory has 8 GB of
# room for files, they are there.
IN_MEMORY = $(shell df -B1G --output=avail /dev/shm 2>/dev/null | awk 'NR == 2 && $$1 >= 8 { print "TMPDIR=/dev/shm " }')
PYTEST = $(IN_MEMORY)$(if $(HAS_MONITORING),COVERAGE_CORE=sysmon )$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(SHUFFLED)

test-fast: $(VENV)/.ready-to-test
	@echo "==> Running the tests that start no process and no server, and take less than two seconds each"
	@$(PYTEST) -m "not (process or server or spark or browser or slow or soak)" $(COVERED)

test: $(VENV)/.ready-to-test $(PROGRAMS)
	@echo "==> Running the tests"
	@$(PYTEST) -m "not soak$(WITHOUT)" --durations=25 $(COVERED)

soak: $(VENV)/.ready-to-test $(PROGRAMS)
	@echo "==> Running the soak tests: full counts, sizes and matrices (at most an hour)"
	@$(PYTEST) -m "soak$(WITHOUT)" --durations=25 --junitxml=benchmarks/results/soak.xml; code=$$?; \
	$(BIN)/python -m benchmarks.soak; exit $$code

# What the test of the UI clicks in: looked for under the names that test_ui.py knows, installed where that is possible.
browser:
	@for name in chromium chromium-browser google-chrome; do \
		if command -v $$name >/dev/null; then exit 0; fi; \
	done; \
	if ! command -v apt-get >/dev/null; then as=; \
	elif [ "$$(id -u)" = 0 ]; then as=env; \
	elif sudo -n true 2>/dev/null; then as="sudo env"; \
	else as=; fi; \
	if [ -z "$$as" ]; then \
		echo "The test of the UI clicks in a browser: install chromium (or google-chrome), so that it is on the PATH."; \
		echo "Without one: make test BROWSER=no"; exit 1; \
	fi; \
	echo "==> Installing chromium, for the test of the UI"; \
	$$as DEBIAN_FRONTEND=noninteractive apt-get update -qq >/dev/null \
		&& $$as DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null

# What Spark runs on, 17 or later: found on the PATH or by JAVA_HOME, installed where that is possible.
java:
	@if [ -x "$${JAVA_HOME}/bin/java" ] || command -v java >/dev/null; then exit 0; fi; \
	if ! command -v apt-get >/dev/null; then as=; \
	elif [ "$$(id -u)" = 0 ]; then as=env; \
	elif sudo -n true 2>/dev/null; then as="sudo env"; \
	else as=; fi; \
	if [ -z "$$as" ]; then \
		echo "The tests of the Spark engine start a cluster: install a Java runtime, 17 or later."; \
		echo "Without one: make test SPARK=no"; exit 1; \
	fi; \
	echo "==> Installing a Java runtime, for the tests of the Spark engine"; \
	$$as DEBIAN_FRONTEND=noninteractive apt-get update -qq >/dev/null \
		&& $$as DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends default-jre-headless >/dev/null

# What rules, their tests and dashboards are tried with: found on the PATH, or unpacked from Debian's package into
# .prometheus, for which nobody has to be root. Where no list of packages is known, one is fetched into that folder.
PACKAGES = -o Dir::State=$(CURDIR)/.$(@)/state -o Dir::Cache=$(CURDIR)/.$(@)/cache -o APT::Sandbox::User=
prometheus:
	@if [ -x .prometheus/usr/bin/prometheus ] || { command -v promtool && command -v prometheus; } >/dev/null; then \
		exit 0; \
	fi; \
	if ! command -v apt-get >/dev/null; then \
		echo "The tests of alerts and dashboards run Prometheus: install it with promtool, so that they are on the PATH."; \
		echo "Without it: make test PROMETHEUS=no"; exit 1; \
	fi; \
	echo "==> Unpacking Prometheus into .prometheus, for the tests of alerts and dashboards"; \
	rm -rf .prometheus && mkdir -p .prometheus/state/lists/partial .prometheus/cache/archives/partial && cd .prometheus \
		&& { apt-get download -qq prometheus 2>/dev/null \
			|| { apt-get $(PACKAGES) update -qq && apt-get $(PACKAGES) download -qq prometheus; } >/dev/null; } \
		&& mkdir unpacked && dpkg -x prometheus_*.deb unpacked && mv unpacked/usr usr \
		&& rm -rf unpacked state cache prometheus_*.deb

# What the online slice is tried with: found on the PATH, or unpacked from Debian's packages into .redis, with the two
# libraries of it that not every machine has. A Redis on the PATH is used as it is.
redis:
	@if [ -x .redis/usr/bin/redis-server ] || command -v redis-server >/dev/null; then exit 0; fi; \
	if ! command -v apt-get >/dev/null; then \
		echo "The tests of the online slice run Redis: install redis-server, so that it is on the PATH."; \
		echo "Without it: make test REDIS=no"; exit 1; \
	fi; \
	echo "==> Unpacking Redis into .redis, for the tests of the online slice"; \
	wanted="redis-server redis-tools libjemalloc2 liblzf1"; \
	rm -rf .redis && mkdir -p .redis/state/lists/partial .redis/cache/archives/partial && cd .redis \
		&& { apt-get download -qq $$wanted 2>/dev/null \
			|| { apt-get $(PACKAGES) update -qq && apt-get $(PACKAGES) download -qq $$wanted; } >/dev/null; } \
		&& mkdir unpacked && for package in *.deb; do dpkg -x $$package unpacked || exit 1; done && mv unpacked/usr usr \
		&& rm -rf unpacked state cache ./*.deb

check: docs
	@echo "==> Format, lint, types and spelling"
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/codespell

docs: $(VENV)/.ready-to-test
	@echo "==> Building the documentation, into site/"
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench: $(VENV)/.ready-to-test
	@echo "==> Measuring (about an hour); results go to benchmarks/results/"
	@$(BIN)/python -m benchmarks

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' \
		|| { echo "Python 3.11, 3.12, 3.13 or 3.14 is needed: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "==> Creating the environment $(VENV)"
	@$(PYTHON) -m venv "$(VENV)" || { rm -rf "$(VENV)"; exit 1; }

$(VENV)/.ready-to-run: requirements.lock setup.cfg | $(VENV)/bin/python
	@echo "==> Installing what the project runs with (about a minute)"
	@$(BIN)/python -m pip install --quiet $(NO_COMPILE) --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.ready-to-test: requirements-dev.lock setup.cfg | $(VENV)/bin/python
	@echo "==> Installing what the tests need, PostgreSQL and an S3 server included (about a minute)"
	@$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@ $(VENV)/.ready-to-run

# The commands put dagster.yaml into it.
.dagster:
	@mkdir $@

# Renews the lock files from setup.cfg; needs `uv` on the PATH. No host is named in them.
LOCK = uv pip compile setup.cfg --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet
lock:
	$(LOCK) --extra build --extra server --extra spark --extra service --extra kafka --extra language --extra online --extra mlflow --extra local --extra test --extra docs --extra dev -o requirements-dev.lock
	$(LOCK) --extra build --extra server --extra service --extra kafka --extra online --extra mlflow -c requirements-dev.lock -o requirements.lock

clean:
	rm -rf "$(VENV)" .dagster .prometheus .redis site gata-data gata-sample.sqlite
