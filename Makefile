# Everything a fresh machine needs is installed by the targets themselves.
.PHONY: install demo test check judge peers bench faults outage browser kafka graphene frameworks lock proto clean

PYTHON ?= python3
BIN := .venv/bin

install: .venv/installed

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

demo: install
	$(BIN)/forebay demo $(ARGS)

check: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# In two processes, file by file.  Brokers live too briefly for Java's second compiler to pay.
test: check browser kafka graphene
	JDK_JAVA_OPTIONS=-XX:TieredStopAtLevel=1 $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

# What breaks when it is executed must not be called safe: N random triples of schema, request and change.
N ?= 20000
SEED ?= 1
judge: install
	cd tests && ../$(BIN)/python -m judge.judge $(N) $(SEED)

# Our classification of changes beside graphql-inspector's, which npm fetches.
peers: install
	cd tests/peers && npm install --no-audit --no-fund --no-package-lock --silent
	cd tests && ../$(BIN)/python -m peers.compare

bench: install
	$(BIN)/python -m bench $(ONLY)

# ARGS: --seed N, --number N, --only TEXT, --brokers 1|3, --list
faults: install kafka
	PYTHONPATH=tests $(BIN)/python -m faults $(ARGS)

# The agent through a long outage of its collector, with and without a spool.
SECONDS ?= 600
outage: install
	PYTHONPATH=tests:tests/agent:. $(BIN)/python -m outage $(SECONDS)

# Chromium for the page's tests: the one that is there, else the system's package.
browser:
	@scripts/browser

# The jars of a real Kafka for the journal's tests, in .kafka/jars.
kafka:
	@scripts/kafka

# The newest Graphene, in .frameworks: it does not take the graphql-core that the others are tested with.
graphene: install
	$(BIN)/python tests/agent/frameworks.py graphene

# The agent's integrations on the oldest supported version of each framework.  NAME: one of them alone
frameworks: install graphene
	$(BIN)/python tests/agent/frameworks.py oldest $(NAME)

lock: install
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --generate-hashes --no-emit-index-url --quiet \
		--custom-compile-command "make lock" --output-file requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra graphene --universal --generate-hashes --no-emit-index-url --quiet \
		--custom-compile-command "make lock" --output-file requirements-graphene.lock

proto: install
	cd src && ../$(BIN)/python -m grpc_tools.protoc --proto_path=. --python_out=. --pyi_out=. \
		forebay/collector/protocols/cosmo.proto

clean:
	rm -rf .venv .kafka .hypothesis .pytest_cache .mypy_cache .ruff_cache tests/peers/node_modules bench/peers/node/node_modules
