# The environment and nothing else: every target calls picochat or pytest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Two processes run the tests, a file at a time; what measures time runs alone (tests/support/beside.py).
BESIDE := -n 2 --dist loadfile --no-loadscope-reorder
REAL_DATA_OPTION := $(if $(REAL_DATA),--real-data=$(REAL_DATA))

.PHONY: help demo test test-gpu test-vllm test-clients faults redteam check bench screenshots install clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    the whole factory on built-in text, minutes on a laptop"
	@echo "make test    every test that runs on a CPU (REAL_DATA=folder adds those on real data)"
	@echo "make test-gpu  what needs a GPU, with the packages that $(PYTHON) has: nothing is installed"
	@echo "make test-vllm  exports in vLLM, with the packages that $(PYTHON) has: nothing is installed"
	@echo "make test-clients  LangChain, LiteLLM, llm and Vercel's SDK against a served model: fetches them into build/clients"
	@echo "make faults  kills, power cuts, full disks and damaged files in full size: a line for each bar"
	@echo "make redteam sabotages that the gate must block, honest runs that it must not, mutants that verify must find, attacks on the workbench"
	@echo "make screenshots  pictures of every page of the workbench, light, dark and narrow, in build/screenshots"
	@echo "make check   the fast half: ruff, pyright, import floors, unit and architecture tests"
	@echo "make bench   speed against peers and what things cost, in turns in one run (REAL_DATA=folder adds real text)"

# Installed once, and again when the pins change.
$(VENV)/.demo: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[serve,web]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@ $(VENV)/.demo

install: $(VENV)/.dev

demo: $(VENV)/.demo
	$(BIN)/picochat demo

test: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/pytest $(BESIDE) -m "not deep and not gpu" $(REAL_DATA_OPTION)

# Its own pytest.ini, so that pytest and the package's dependencies are enough; PYTHONPATH may name more of them.
test-gpu:
	PYTHONPATH=src:$$PYTHONPATH $(PYTHON) -m pytest -c tests/gpu/pytest.ini -m gpu tests/gpu -q -rs

# vLLM pins a torch of its own, so it has an environment of its own; docs/how-to/export.md says which.
test-vllm:
	PYTHONPATH=src:.:$$PYTHONPATH $(PYTHON) -m pytest -c tests/vllm/pytest.ini tests/vllm -q -rs

# Beside the development tools, never among them: they bring many packages and pin some.
test-clients: $(VENV)/.dev
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --target build/clients --upgrade langchain-openai litellm llm
	PYTHONPATH=build/clients $(BIN)/pytest -q -rs tests/clients

# Where strace, root or loop devices are missing, a bar is NOT RUN; --require-all makes that a failure.
faults: $(VENV)/.dev
	$(BIN)/pytest -q -m "bar or deep" --full

redteam: $(VENV)/.dev
	$(BIN)/pytest -q --full tests/redteam

screenshots: $(VENV)/.dev
	$(BIN)/python scripts/screenshots.py build/screenshots --docs docs/images/workbench

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/pytest $(BESIDE) tests/unit tests/architecture

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/train_speed.py
	$(BIN)/python benchmarks/decode_speed.py
	$(BIN)/python benchmarks/save_cost.py
	$(BIN)/python benchmarks/ddp_cost.py
	$(BIN)/python benchmarks/plan_memory.py
	$(BIN)/python benchmarks/plan_speed.py
	$(BIN)/python benchmarks/workbench_series.py
	$(BIN)/python benchmarks/encode_speed.py $(REAL_DATA_OPTION)
	$(BIN)/python benchmarks/near_duplicates.py $(REAL_DATA_OPTION)
	$(BIN)/python benchmarks/contamination.py $(REAL_DATA_OPTION)
	$(BIN)/python benchmarks/data_build.py $(REAL_DATA_OPTION)
	$(BIN)/python benchmarks/data_build.py $(REAL_DATA_OPTION) --mb 500 --memory
	$(BIN)/python benchmarks/loader.py
	$(BIN)/python benchmarks/workbench_cost.py --training
	$(BIN)/python benchmarks/run_list.py
	$(BIN)/python benchmarks/eval_pages.py
	$(BIN)/python benchmarks/workbench_files.py
	$(BIN)/python benchmarks/prediction.py $(REAL_DATA_OPTION)

clean:
	rm -rf $(VENV) build dist src/*.egg-info
