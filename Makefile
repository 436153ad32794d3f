# make demo    install into .venv, make the dataset, write a chorale and draw it
# make test    install into .venv, run every check
# make check   the same without installing
# make train   train with train_cfg.json; ARGS="--max_steps 100" overrides
# make format, make coverage, make clean

.DEFAULT_GOAL := help
READY := .venv/ready

.PHONY: help setup demo test check train format coverage clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

setup: $(READY)

$(READY): pyproject.toml constraints.txt scripts/setup
	scripts/setup
	@touch $(READY)

demo: $(READY)
	scripts/demo

test: $(READY)
	scripts/check

check:
	scripts/check

train: $(READY)
	.venv/bin/python train.py $(ARGS)

format:
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

coverage: $(READY)
	scripts/coverage

clean:
	rm -rf build dist *.egg-info .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
