"""The published benchmark file of scripted runs, for whoever builds one: import both fixtures into a conftest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from picochat.core.hashing import sha256_file
from picochat.evals.tasks import facts
from picochat.evals.tasks.blimp_paradigms import PARADIGMS
from picochat.judgement import benchmarks

PAIRS = 10
"""Of each paradigm, in the made file."""


@pytest.fixture(scope="session")
def benchmark_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("blimp") / "blimp.jsonl"
    path.write_bytes(b'{"sentence_good": "a", "sentence_bad": "b"}\n')
    return path


@pytest.fixture(scope="session", autouse=True)
def published(benchmark_file: Path) -> Iterator[None]:
    """The made benchmark file counts as a published one, with so many pairs a paradigm."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(benchmarks.PUBLISHED, "blimp", frozenset({sha256_file(benchmark_file)}))
        patch.setitem(facts.GROUP_ITEMS, "blimp", dict.fromkeys(PARADIGMS, PAIRS))
        yield
