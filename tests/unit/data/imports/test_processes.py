"""Several processes: the same bytes as one, refusals that arrive, and a stop that is heard."""

import threading

import pytest
from tests.unit.data.imports.made import AGAIN, contents, fill, import_hub, import_local, refused, rows_of

from picochat.data.imports import importer
from picochat.data.imports.config import ImportConfig
from picochat.data.imports.importer import Surroundings
from picochat.data.imports.manifest import STOP, Origin, Plan, Unit


def test_two_processes_give_the_bytes_of_one_and_their_refusals_arrive(tmp_path):
    files = {f"{n}.jsonl": rows_of(str(n), 30) for n in range(3)}
    source = fill(tmp_path / "s", files)
    import_local(source, tmp_path / "one", text="t", part_bytes=300, workers=1)
    import_local(source, tmp_path / "two", text="t", part_bytes=300, workers=2)
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert one.keys() == two.keys() and [name for name in one if one[name] != two[name]] == []


def test_processes_fetch_from_the_hub_and_a_refusal_keeps_what_is_finished(hub, tmp_path):
    hub.token = "hf_canary" + "x" * 20
    hub.commit({f"train-{n}.jsonl": rows_of(str(n), 30) for n in range(2)} | {"train-2.jsonl": b"words\n" * 20})
    with refused("source.layout", 4, "train-2.jsonl", "row_not_json"):
        import_hub(hub, tmp_path / "out", token=hub.token, workers=2)
    assert len(list((tmp_path / "out").glob("part-*"))) == 2


def test_a_stop_is_written_where_other_processes_look(tmp_path):
    asked = threading.Event()
    path = tmp_path / "stop"
    with importer._stop_file(path, lambda: "signal SIGTERM" if asked.is_set() else ""):
        assert importer._read_stop(path) == ""
        asked.set()
        for _ in range(200):
            if importer._read_stop(path):
                break
            threading.Event().wait(0.01)
        assert importer._read_stop(path) == "signal SIGTERM"
    assert not path.exists()


def test_a_worker_that_hears_a_stop_ends_between_two_parts(tmp_path):
    source = fill(tmp_path / "s", {"a.jsonl": rows_of("a", 30)})
    (tmp_path / "out").mkdir()
    fill(tmp_path / "out", {STOP: "signal SIGTERM"})
    config = ImportConfig(source=str(source), text="t")
    plan = importer.make_plan(config, tmp_path / "out", importer.Hub(again=AGAIN))
    worker = importer._build(tmp_path / "out", config, plan.origin, importer.Hub(again=AGAIN))
    with refused("run.stopped", 75, "signal SIGTERM", AGAIN):
        worker(importer.UnitJob(plan.units[0]))


@pytest.mark.parametrize(
    ("settings", "sizes", "processes"),
    [
        ({"workers": 8}, [1, 1], 2),
        ({"workers": 1}, [10**9] * 4, 1),
        ({"workers": 8, "max_rows": 5}, [10**9] * 4, 1),
        ({}, [10**6] * 4, 1),
        ({}, [10**9] * 4, 3),
        ({}, [10**9], 1),
        ({}, [10**9, 1], 2),
    ],
)
def test_processes_are_started_where_they_are_allowed_and_worth_it(monkeypatch, settings, sizes, processes):
    monkeypatch.setattr(importer, "available_processes", lambda: 3)
    units = [
        Unit.model_validate({"number": n, "kind": "jsonl", "files": [{"name": str(n), "bytes": size}]})
        for n, size in enumerate(sizes)
    ]
    origin = Origin(kind="local", name="x", licence="unknown", licence_from="unknown")
    plan = Plan.model_validate(
        {"schema": {"name": "p", "version": 1}, "origin": origin, "settings": {}, "units": units}
    )
    assert importer._processes(ImportConfig(source="x", **settings), plan) == processes


def test_a_worker_that_dies_is_reported_with_the_command_that_goes_on(tmp_path, monkeypatch):
    source = fill(tmp_path / "s", {"a.jsonl": rows_of("a", 3), "b.jsonl": rows_of("b", 3)})

    def lose(*args, **kwargs):
        importer.refuse("workers.lost", "one of 2 worker processes died")
        yield

    monkeypatch.setattr(importer, "map_in_order", lose)
    with refused("workers.lost", 5, AGAIN, "workers = 1"):
        import_local(source, tmp_path / "out", Surroundings(again=AGAIN), text="t", workers=2)
