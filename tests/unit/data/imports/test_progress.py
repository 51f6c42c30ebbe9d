"""What is said while an import works: rows, megabytes a second, and the time that is left."""

from tests.unit.data.imports.made import fill, import_local, refused, rows_of

from picochat.core import failpoints
from picochat.core.clock import ManualClock
from picochat.data.imports import unit_work
from picochat.data.imports.importer import Surroundings


class Told:
    """A progress that writes down what it is told, while the clock goes on by a second at a time."""

    def __init__(self) -> None:
        self.clock, self.stages, self.updates = ManualClock(), [], []

    def stage(self, name: str, title: str) -> None:
        self.stages.append((name, title))

    def update(self, done: float, total: float, note: str = "") -> None:
        self.clock.now += 1.0
        self.updates.append((done, total, note))

    def say(self, text: str) -> None:
        raise AssertionError(text)


def test_rows_pace_and_time_left_are_told(tmp_path):
    files = {"a.jsonl": rows_of("a", 5000), "b.jsonl": rows_of("b", 10), "c.txt": "text"}
    source, told = fill(tmp_path / "s", files), Told()
    import_local(source, tmp_path / "out", Surroundings(progress=told, clock=told.clock), text="t")
    assert told.stages == [("import", str(source))]
    size = sum(len(data) for data in files.values())
    assert [total for _, total, _ in told.updates] == [size] * len(told.updates)
    shares = [done for done, _, _ in told.updates]
    assert shares == sorted(shares) and 0 < shares[0] < len(files["a.jsonl"]) and shares[-1] == size
    notes = [note for _, _, note in told.updates]
    assert "1,023 rows" in notes[0] or "1,024 rows" in notes[0]
    assert "reading a.jsonl" in notes[1] and "MB/s" in notes[1] and "left" in notes[1]
    assert notes[-1].startswith("5,011 rows") and "c.txt: 1 part" in notes[-1]


def test_what_an_earlier_attempt_did_makes_nobody_look_fast(tmp_path):
    source = fill(tmp_path / "s", {"a.jsonl": rows_of("a", 5000), "b.jsonl": rows_of("b", 5000)})
    failpoints.arm("import.after_part:enospc@2")
    with refused("disk.full", 5):
        import_local(source, tmp_path / "out", text="t")
    failpoints.disarm()
    told = Told()
    import_local(source, tmp_path / "out", Surroundings(progress=told, clock=told.clock), text="t")
    assert "MB/s" not in told.updates[0][2]
    assert [done for done, _, _ in told.updates] == sorted(done for done, _, _ in told.updates)
    assert told.updates[-1][2].startswith("10 k rows") or told.updates[-1][2].startswith("10,000 rows")


def test_a_stop_is_looked_for_in_a_long_drought(tmp_path, monkeypatch):
    monkeypatch.setattr(unit_work, "LOOK_EVERY_ROWS", 10)
    source = fill(tmp_path / "s", {"a.jsonl": rows_of("a", 100)})
    looks = []
    import_local(source, tmp_path / "out", Surroundings(stop_reason=lambda: looks.append(1) or ""), text="t")
    assert len(looks) >= 10
