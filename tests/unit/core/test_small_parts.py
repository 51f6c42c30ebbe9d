import hashlib
import math
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picochat.core import failpoints
from picochat.core.clock import ManualClock, SystemClock, utc_now
from picochat.core.errors import PicochatError
from picochat.core.hashing import digest_of, sha256_bytes, sha256_file, unit_fraction
from picochat.core.progress import SilentProgress
from picochat.core.subprocesses import run_quiet
from picochat.core.units import format_bytes, format_count, format_duration


@pytest.fixture
def points():
    yield failpoints
    failpoints.disarm()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (999, "999"),
        (9_999, "9,999"),
        (10_000, "10 k"),
        (57_400, "57.4 k"),
        (999_999, "1,000 k"),
        (1_234_567, "1.23 M"),
        (1_120_985_088, "1.12 B"),
        (22.4e9, "22.4 B"),
        (3.2e12, "3.2 T"),
        (1.78e20, "1.78e20"),
        (-1_500_000, "-1.5 M"),
    ],
)
def test_counts(value, text):
    assert format_count(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (2**20, "1.0 MiB"), (3 * 2**30, "3.0 GiB"), (2**41, "2.0 TiB")],
)
def test_bytes(value, text):
    assert format_bytes(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (12.6, "13 s"),
        (75.2, "1 m 15 s"),
        (3599.7, "1 h 0 m"),
        (7260, "2 h 1 m"),
        (172_799.4, "47 h 59 m"),
        (190_000, "2 d 4 h"),
        (-75.2, "-1 m 15 s"),
    ],
)
def test_durations(value, text):
    assert format_duration(value) == text


@given(st.floats(min_value=0, max_value=1e7))
def test_a_duration_never_shows_sixty_of_anything(seconds):
    assert not re.search(r"\b60 [sm]\b", format_duration(seconds))


def test_an_armed_point_acts_at_its_pass_and_only_then(points):
    points.arm("step.after_backward:raise@3,ckpt.after_file:eio")
    assert points.armed() == ["ckpt.after_file", "step.after_backward"]
    for _ in range(2):
        points.failpoint("step.after_backward")
    with pytest.raises(RuntimeError, match="after_backward"):
        points.failpoint("step.after_backward")
    points.failpoint("step.after_backward")
    with pytest.raises(OSError, match="failpoint ckpt"):
        points.failpoint("ckpt.after_file")
    points.failpoint("step.before_optimizer")


def test_a_value_is_spoilt_at_its_pass_and_only_then(points):
    points.arm("guard.value:nan@2")
    assert points.spoil("guard.value", 1.5) == 1.5
    assert math.isnan(points.spoil("guard.value", 1.5))
    assert points.spoil("guard.value", 1.5) == 1.5
    points.arm("guard.value:raise")
    with pytest.raises(RuntimeError, match="guard"):
        points.spoil("guard.value", 1.5)


@pytest.mark.parametrize(
    "spec",
    ["nowhere:raise", "step.after_backward:explode", "step.after_backward", "step.after_backward:raise@x",
     "step.after_backward:raise@0", "step.after_backward:raise@-1", "step.after_backward:raise@²",
     "step.after_backward:nan"],
)  # fmt: skip
def test_a_wrong_failpoint_is_refused(points, spec):
    with pytest.raises(PicochatError) as caught:
        points.arm(spec)
    assert (caught.value.code, caught.value.exit_code) == ("failpoint.name", 2)
    assert points.armed() == []


def test_nothing_is_armed_by_an_empty_specification(points):
    points.arm("")
    assert points.armed() == []


def test_digests(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_file(tmp_path / "a") == sha256_bytes(b"abc") == hashlib.sha256(b"abc").hexdigest()
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1}) == sha256_bytes(b'{"a":1,"b":2}')
    with pytest.raises(PicochatError) as caught:
        sha256_file(tmp_path / "b")
    assert caught.value.code == "artifact.missing"


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=8))
def test_a_unit_fraction_is_stable_and_below_one(text):
    assert 0.0 <= unit_fraction(text) == unit_fraction(text) < 1.0


def test_unit_fractions_fill_the_interval_evenly():
    counts = [0] * 10
    for number in range(5000):
        counts[int(unit_fraction(f"x{number}") * 10)] += 1
    assert min(counts) > 400 and max(counts) < 600


def test_clocks():
    clock = ManualClock(3.0)
    clock.now += 2
    assert clock.monotonic() == 5.0
    assert SystemClock().monotonic() <= SystemClock().monotonic()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", utc_now())


def test_short_commands(tmp_path):
    assert run_quiet([sys.executable, "-c", "print('x')"], cwd=tmp_path) == "x\n"
    assert run_quiet([sys.executable, "-c", "raise SystemExit(1)"]) is None
    assert run_quiet([str(tmp_path / "no-such-command")]) is None


def test_silent_progress_takes_everything():
    progress = SilentProgress()
    progress.stage("a", "b")
    progress.update(1, 2)
    progress.say("x")
