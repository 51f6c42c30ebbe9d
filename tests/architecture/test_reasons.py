"""Reason codes: every refusal is registered, every registered code is used, every cure names what exists."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from picochat.cli.app import cli
from picochat.core.config import flatten
from picochat.core.errors import PicochatError, refuse
from picochat.core.reasons import REASONS
from picochat.inference.foreign.config import ForeignConfig
from picochat.judgement.plan_registry import PLAN_CHECKS
from picochat.judgement.registry import CHECKS, VERIFY_CHECKS
from picochat.judgement.sanity_registry import SANITY_CHECKS
from picochat.pipeline.prediction.config import LadderConfig
from picochat.pipeline.profiles import PROFILES
from picochat.serving.settings import ServeConfig
from picochat.stages.benchmark.config import BenchmarkConfig
from picochat.workbench.door.settings import WebConfig

PACKAGE = Path(__file__).parents[2] / "src" / "picochat"
EXIT_CODES = {2, 3, 4, 5, 6, 75}
SETTINGS = set(flatten(PROFILES["tiny"].build().as_dict()))
SETTINGS |= {*BenchmarkConfig.model_fields, *ForeignConfig.model_fields}
SETTINGS |= {f"ladder.{key}" for key in LadderConfig.model_fields}
SETTINGS |= {f"serve.{key}" for key in ServeConfig.model_fields}
SETTINGS |= {f"web.{key}" for key in WebConfig.model_fields}


def iter_nodes() -> Iterator[tuple[Path, ast.AST]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield from ((path, node) for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def refusals() -> Iterator[tuple[str, str]]:
    """(place, code) of every call of `refuse` or `PicochatError` with a code that is written out."""
    for path, node in iter_nodes():
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("refuse", "PicochatError"):
            code = node.args[0]
            if isinstance(code, ast.Constant):
                yield f"{path.name}:{node.lineno}", str(code.value)


def cures() -> Iterator[tuple[str, str]]:
    """(place, text) of every sentence that tells the user what to do."""
    for registry in (REASONS, CHECKS, VERIFY_CHECKS, SANITY_CHECKS, PLAN_CHECKS):
        yield from ((code, entry.fix) for code, entry in registry.items())
    for path, node in iter_nodes():
        if isinstance(node, ast.keyword) and node.arg == "fix":
            yield f"{path.name}:{node.value.lineno}", ast.unparse(node.value)


def test_every_refusal_is_registered():
    found = list(refusals())
    assert len(found) > 100
    assert [f"{place} {code}" for place, code in found if code not in REASONS] == []


def test_every_registered_code_is_used():
    spoken = {
        node.value
        for path, node in iter_nodes()
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and not path.name.startswith("reasons")
    }
    assert [code for code in REASONS if code not in spoken] == []


def test_every_reason_says_why_and_what_to_do():
    for code, reason in REASONS.items():
        assert re.fullmatch(r"[a-z]+\.[a-z_]+", code)
        assert reason.exit_code in EXIT_CODES
        assert reason.why and reason.fix


def test_an_unregistered_code_is_a_bug():
    with pytest.raises(KeyError):
        refuse("no.such_code", "detail")
    with pytest.raises(PicochatError) as caught:
        refuse("usage.path", "a does not exist")
    assert caught.value.lines()[0] == "error: a does not exist"


def test_every_command_that_a_cure_names_exists():
    context = click.Context(cli)
    known = set(cli.list_commands(context))
    named = [(place, word) for place, text in cures() for word in re.findall(r"picochat ([a-z]+)\b", text)]
    assert len(named) > 20
    assert [f"{place}: picochat {word}" for place, word in named if word not in known] == []


def test_every_key_that_a_cure_sets_exists():
    named = [(place, key) for place, text in cures() for key in re.findall(r"--set ([a-z_.0-9]+)=", text)]
    unknown = [f"{place}: {key}" for place, key in named if key not in SETTINGS and not key.startswith("resume.")]
    assert named and unknown == []
