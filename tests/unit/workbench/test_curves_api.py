from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import platform
from pathlib import Path

import httpx
import pytest
from tests.support.events import resumed, straight

from picochat.core.clock import ManualClock
from picochat.views.runs.run_state import process_start
from picochat.workbench.api.curves import ROUTES, peak_flops_per_s
from picochat.workbench.app import Application
from picochat.workbench.bench import Workbench
from picochat.workbench.routing import Router
from picochat.workbench.site import Site
from picochat.workbench.watching.followers import Followers
from picochat.workbench.watching.machine_use import MachineUse, fill_rate, parse_gpus


class Asker:
    """The application without a socket or a guard."""

    def __init__(self, runs: Path) -> None:
        self.app = Application(Workbench(runs), Site("0", b"", {}), Router(ROUTES))

    def get(self, path: str, **params: object) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://bench") as client:
                return await client.get(f"/api/runs/{path}", params={key: str(value) for key, value in params.items()})

        return asyncio.run(ask())


@pytest.fixture
def asker(tmp_path: Path) -> Asker:
    resumed().write(tmp_path / "made-1")
    return Asker(tmp_path)


def test_a_series_is_read_as_it_grows(asker: Asker, tmp_path: Path) -> None:
    before = asker.get("made-1/series", keys="loss,val_loss", smooth=0.5, buckets=50).json()
    assert [series["points"]["shown"] for series in before["series"]] == [49, 7]
    with (tmp_path / "made-1" / "events.jsonl").open("a") as stream:
        stream.write(straight(310).text().splitlines()[-1].replace('"attempt":1', '"attempt":2') + "\n")
    after = asker.get("made-1/series", keys="loss").json()["series"][0]
    assert (after["points"]["all"], after["step"][-1]) == (351, 310)


def test_the_csv_has_the_numbers_of_the_answer(asker: Asker) -> None:
    params = {"keys": "loss,val_loss", "x": "tokens", "smooth": 0.5, "buckets": 20, "from": 50 * 4096}
    answer = asker.get("made-1/series.csv", **params)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    loss = asker.get("made-1/series", **params).json()["series"][0]
    mine = [row for row in rows if row["series"] == "loss"]
    assert [float(row["last"]) for row in mine] == loss["last"]
    assert [float(row["x"]) for row in mine] == loss["x"] and float(mine[0]["x"]) >= 50 * 4096
    assert [row["smoothed"] for row in rows if row["series"] == "val_loss"] == [""] * 7


@pytest.mark.parametrize(
    "query",
    [
        "keys=loss,loss", "keys=nope", "keys=", "x=time", "buckets=0", "buckets=1501", "smooth=1", "from=nan", "log=z",
        "stage=../x", "other=1", "from=1e999",
    ],
)  # fmt: skip
def test_what_is_not_understood_is_422(asker: Asker, query: str) -> None:
    key, value = query.split("=")
    answer = asker.get("made-1/series", **{key: value})
    assert answer.status_code == 422 and answer.json()["code"] == "query"


def test_a_run_without_events_and_one_that_cannot_be_read_are_answers(asker: Asker, tmp_path: Path) -> None:
    for name in ("bare", "linked"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "status.json").write_text("{")
    (tmp_path / "linked" / "events.jsonl").symlink_to(tmp_path / "made-1" / "events.jsonl")
    assert asker.get("bare/series").json()["file"]["state"] == "missing"
    assert asker.get("linked/series").json()["file"]["state"] == "unreadable"
    for route in ("markers", "resources"):
        for name in ("bare", "linked"):
            assert asker.get(f"{name}/{route}").status_code == 200
    assert asker.get("none/series").status_code == 404
    assert asker.get("bare/resources").json()["speed"]["tokens_per_s"] is None


def test_resources_know_the_process_of_this_machine_and_no_other(asker: Asker, tmp_path: Path) -> None:
    pid = os.getpid()
    status = {"host": platform.node(), "pid": pid, "process_started": process_start(pid), "stage": "base"}
    path = tmp_path / "made-1" / "status.json"
    path.write_text(json.dumps(status))
    machine = asker.get("made-1/resources").json()["machine"]
    assert machine["process"]["rss_bytes"] > 10_000_000 and machine["process"]["cpu_s"] > 0
    assert machine["disk"]["free_bytes"] > 0 and machine["disk"]["full_in_s"] is None
    for other in ({"process_started": 1}, {"host": "elsewhere"}, {"pid": "x"}):
        path.write_text(json.dumps(status | other))
        assert asker.get("made-1/resources").json()["machine"]["process"] is None
    assert asker.get("made-1/resources").json()["speed"]["tokens_per_s"] == 40_960


def test_a_disk_that_fills_up_has_a_time() -> None:
    assert fill_rate([]) is None and fill_rate([(0, 100), (20, 50)]) is None, "seen too briefly"
    assert fill_rate([(0, 1000), (50, 700), (100, 500)]) == 5.0
    assert fill_rate([(0, 500), (100, 900)]) == -4.0


def test_the_time_to_full_is_free_space_over_its_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, free = ManualClock(), [10_000]
    monkeypatch.setattr("shutil.disk_usage", lambda root: type("Usage", (), {"total": 20_000, "free": free[0]}))
    use = MachineUse(clock)
    assert use.describe(tmp_path, {})["disk"]["full_in_s"] is None
    clock.now, free[0] = 100.0, 8_000
    disk = use.describe(tmp_path, {})["disk"]
    assert (disk["filling_bytes_per_s"], disk["full_in_s"]) == (20.0, 400.0)


def test_gpus_are_read_field_by_field() -> None:
    text = "NVIDIA H200, 37, 1024, 143771, 120.5, 41\nodd line\nNVIDIA X, [N/A], nan, 10, [Not Supported], 30\n"
    first, second = parse_gpus(text)
    assert (first["name"], first["busy_frac"], first["used_bytes"], first["power_w"]) == (
        "NVIDIA H200",
        0.37,
        2**30,
        120.5,
    )
    assert (second["busy_frac"], second["used_bytes"], second["power_w"], second["temperature_c"]) == (
        None,
        None,
        None,
        30,
    )


def test_a_peak_needs_one_known_card_and_a_training_on_it() -> None:
    on_gpu = {"machine": {"device": "cuda:0", "ranks": 8}}
    assert peak_flops_per_s(on_gpu, ["NVIDIA H200"] * 8) == 8 * 989e12
    assert peak_flops_per_s(on_gpu, ["NVIDIA H200", "NVIDIA L4"]) is None
    assert peak_flops_per_s(on_gpu, ["Unknown"]) is None and peak_flops_per_s(on_gpu, []) is None
    assert peak_flops_per_s({"machine": {"device": "cpu", "ranks": 1}}, ["NVIDIA H200"]) is None
    assert peak_flops_per_s({}, ["NVIDIA H200"]) is None


def test_followers_are_kept_within_their_bounds(tmp_path: Path) -> None:
    paths = [straight(20).write(tmp_path / str(number)) for number in range(4)]
    followers = Followers(most_files=3, most_points=45)
    seen = {}
    for path in paths:
        with followers.reading(path) as events:
            seen[path] = events
    with followers.reading(paths[3]) as events:
        assert events is seen[paths[3]], "the newest are kept"
    with followers.reading(paths[1]) as events:
        assert events is not seen[paths[1]], "three files would fit, their points do not"
    with followers.reading(paths[0]) as events:
        assert events is not seen[paths[0]] and len(events.stages["base"].steps) == 20
