# One word per wish. Everything goes through launch.py, so nothing needs to be installed first.
PYTHON ?= python3
BIN := .venv/bin
.PHONY: setup check test fix docs run bench parity lock

# Install everything that work on the code needs, and the hooks that look at each commit.
setup:
	$(PYTHON) launch.py setup --tests
	$(BIN)/pre-commit install

# May I push? The same checks as .ci/run, without the tests.
check:
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/pyright && $(BIN)/lint-imports

# All tests but the slow ones; `make test ONLY="tests/unit -k seed"` for some of them.
test:
	$(PYTHON) launch.py test $(ONLY)

# Let the tools mend what they can.
fix:
	$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

# Compare the documents with the program: commands, flags, links.
docs:
	$(PYTHON) launch.py test tests/architecture/test_documents.py

# Serve on this machine.
run:
	$(PYTHON) launch.py $(FLAGS)

# Measure this machine.
bench:
	$(PYTHON) launch.py bench

# Draw every golden case again and write how near each feature is to A1111's pictures.
parity:
	$(BIN)/python tools/parity.py

# Pin what pyproject.toml leads to, after trying it in .venv.
lock:
	$(BIN)/python tools/lock.py
