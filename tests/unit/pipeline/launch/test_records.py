"""A plan is one document with one form; nothing in it can become another argument, path or sum."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.launch_plans import plan_json, sound_plan

from picochat.core.errors import PicochatError
from picochat.core.jsonio import canonical_json
from picochat.pipeline.launch.records import LaunchPlan, dollars, format_dollars, parse_plan


def fields(obj: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every leaf."""
    if isinstance(obj, dict):
        return [found for key, value in obj.items() for found in fields(value, (*path, key))]
    if isinstance(obj, list):
        return [found for place, value in enumerate(obj) for found in fields(value, (*path, place))]
    return [path]


def changed(path: tuple[Any, ...]) -> dict[str, Any]:
    """The document with one leaf replaced by another value that is allowed there."""
    body = json.loads(json.dumps(plan_json()))
    place = body
    for key in path[:-1]:
        place = place[key]
    old = place[path[-1]]
    others = {"hours": old, "kind": "slurm", "cap_usd": "431.00", "rate_usd_per_gpu_hour": "3.01", "path": "other.json"}
    if path[-1] in others and path[-1] != "hours":
        new: Any = others[path[-1]]
    elif path[0] == "money" and path[1] == "estimate_usd":
        new = "350.00"
    elif path[0] == "money" and path[1] == "hours":
        new = old + 0.01
    elif path[-1] == "image":
        new = "repo/image@sha256:" + "e" * 64
    elif path[-1] in ("queue", "flavor"):
        new = "other"
    elif path[-1] == "created_at":
        new = "2026-01-02T00:00:00.000Z"
    elif isinstance(old, int | float):
        new = old + 1
    elif isinstance(old, str) and len(old) in (32, 64) and set(old) <= set("0123456789abcdef"):
        new = "f" * len(old)
    else:
        new = "OTHER" if path[0] == "environment" else "other"
    place[path[-1]] = new
    return body


LEAVES = [path for path in fields(plan_json()) if path[0] != "schema"]


@pytest.mark.parametrize("path", LEAVES, ids=lambda path: "/".join(map(str, path)))
def test_any_changed_field_is_another_plan(path: tuple[Any, ...]):
    assert LaunchPlan.from_json(changed(path), "plan").digest() != sound_plan().digest()


def test_a_plan_reads_back_as_it_was_written():
    plan = sound_plan()
    assert parse_plan(plan.data(), "plan") == plan and plan.gpus == 8


@pytest.mark.parametrize("edit", [b" ", b"\n"])
def test_another_form_of_the_same_plan_is_refused(edit: bytes):
    with pytest.raises(PicochatError) as caught:
        parse_plan(sound_plan().data() + edit, "plan")
    assert caught.value.code == "launch.plan"


def test_a_plan_of_another_version_is_refused():
    body = plan_json(schema={"name": "launch_plan", "version": 2})
    with pytest.raises(PicochatError) as caught:
        parse_plan(canonical_json(body) + b"\n", "plan")
    assert caught.value.code == "artifact.schema"


HOSTILE = (
    "$(id)",
    "`id`",
    "a b",
    "a;b",
    "a\nb",
    "a|b",
    "a&b",
    "a>b",
    "a'b",
    "a\\b",
    "",
    "a\x00b",
    "a\u202eb",
    "x" * 9999,
)


@pytest.mark.parametrize("word", HOSTILE)
def test_an_argument_that_a_shell_could_read_is_refused(word: str):
    with pytest.raises(PicochatError):
        sound_plan(argv=["torchrun", word])


@pytest.mark.parametrize("host", [*HOSTILE, "-oProxyCommand=id", "--flag", "@host", "user@-host", "a b@host"])
def test_a_host_that_is_no_host_is_refused(host: str):
    with pytest.raises(PicochatError):
        sound_plan(target=plan_json()["target"] | {"host": host})


@pytest.mark.parametrize("path", [*HOSTILE, "/etc/passwd", "../x", "a/../b", "a//b", "-r", "a/"])
def test_a_file_outside_of_the_run_is_refused(path: str):
    with pytest.raises(PicochatError):
        sound_plan(files=[{"path": path, "bytes": 1, "sha256": "a" * 64}])


@pytest.mark.parametrize("folder", [*HOSTILE, "-x", "--folder"])
def test_a_folder_that_is_an_option_is_refused(folder: str):
    with pytest.raises(PicochatError):
        sound_plan(target=plan_json()["target"] | {"folder": folder})


@pytest.mark.parametrize("name", ["HF_TOKEN=abc", "hf_token", "A B", "$HOME", ""])
def test_the_environment_is_names_alone(name: str):
    with pytest.raises(PicochatError):
        sound_plan(environment=[name])


@pytest.mark.parametrize("image", ["repo/image:latest", "repo/image", "repo@sha256:abc", "-x@sha256:" + "a" * 64])
def test_an_image_that_is_not_pinned_is_refused(image: str):
    with pytest.raises(PicochatError):
        sound_plan(target=plan_json()["target"] | {"image": image})


@pytest.mark.parametrize(
    "change", [{"nodes": 0}, {"gpus_per_node": -1}, {"gpus_per_node": 65}, {"autostop_minutes": 0}]
)
def test_impossible_shapes_are_refused(change: dict[str, int]):
    with pytest.raises(PicochatError):
        sound_plan(**change)


@pytest.mark.parametrize(
    "sum_", ["430", "430.0", "430.000", "+430.00", " 430.00", "4e2", "inf", "٤٣٠.٠٠", "1" * 10 + ".00"]
)
def test_a_sum_that_is_not_plain_is_refused(sum_: str):
    assert dollars(sum_) is None
    with pytest.raises(PicochatError):
        sound_plan(money=plan_json()["money"] | {"cap_usd": sum_})


@given(st.floats(0, 1e6))
def test_an_estimate_is_never_shown_smaller_than_it_is(value: float):
    shown = dollars(format_dollars(value))
    assert shown is not None and Decimal(repr(value)) <= shown <= Decimal(repr(value)) + Decimal("0.01")
