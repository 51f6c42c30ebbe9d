"""Pages of a JSON Lines file: every row once, long rows told of, a search that stops."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picochat.core.jsonio import canonical_json
from picochat.views.data import row_page
from picochat.views.data.dropped import read_dropped
from picochat.views.data.row_page import LINE_BYTES, RowPage, read_rows

RUN = {"config": {"data": {"cleaning": {"min_chars": 40}}}}


def pages(path: Path, limit: int) -> list[RowPage]:
    found: list[RowPage] = []
    cursor: int | None = 0
    with path.open("rb", buffering=0) as stream:
        while cursor is not None:
            found.append(read_rows(stream, cursor, limit, lambda offset, line: (offset, line)))
            cursor = found[-1].next
    return found


@settings(max_examples=80, deadline=None)
@given(lines=st.lists(st.binary(max_size=20), max_size=20), ended=st.booleans(), limit=st.integers(1, 7))
def test_all_pages_together_are_all_lines(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], ended: bool, limit: int
):
    lines = [line.replace(b"\n", b"?") for line in lines]
    path = tmp_path_factory.getbasetemp() / "rows"
    data = b"\n".join(lines) + (b"\n" if ended and lines else b"")
    path.write_bytes(data)
    found = [row for page in pages(path, limit) for row in page.rows]
    assert [line for _, line in found] == (data.removesuffix(b"\n").split(b"\n") if data else [])
    assert all(data[offset:].startswith(line) for offset, line in found)


def test_a_row_too_long_to_read_is_told_of_and_the_next_one_follows(tmp_path: Path):
    path = tmp_path / "rows"
    path.write_bytes(b"a\n" + b"x" * (LINE_BYTES + 1) + b"\nb\n" + b"y" * 3 * LINE_BYTES)
    found = [line for page in pages(path, 2) for _, line in page.rows]
    assert found == [b"a", None, b"b", None]


def write_dropped(path: Path, count: int) -> None:
    rows = [{"source": "notes", "name": f"file-{number}.txt", "reason": "too_short"} for number in range(count)]
    rows[-1] |= {"reason": "near_duplicate", "document": 7}
    path.write_bytes(b"".join(canonical_json(row) + b"\n" for row in rows))


def dropped(path: Path, cursor: int = 0, limit: int = 5, **asked: str | None) -> RowPage:
    with path.open("rb", buffering=0) as stream:
        return read_dropped(stream, cursor, limit, RUN, **({"reason": None, "name": None} | asked))


def test_a_dropped_document_says_why_and_which_setting_decided(tmp_path: Path):
    write_dropped(tmp_path / "dropped", 30)
    row = dropped(tmp_path / "dropped").rows[0]
    assert (row["name"], row["setting"], row["limit"]) == ("file-0.txt", "data.cleaning.min_chars", 40)
    assert "fewer characters" in row["says"]
    (near,) = dropped(tmp_path / "dropped", reason="near_duplicate").rows
    assert near["document"] == 7 and near["says"].startswith("most of its word groups")
    (named,) = dropped(tmp_path / "dropped", name="FILE-13.").rows
    assert named["name"] == "file-13.txt"


def test_a_search_for_what_is_rare_stops_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(row_page, "LOOKED_AT_BYTES", 10_000)
    write_dropped(tmp_path / "dropped", 2000)
    first = dropped(tmp_path / "dropped", reason="near_duplicate")
    assert first.rows == [] and not first.whole and first.next and first.next >= 10_000
    cursor, found = first.next, first
    while cursor is not None:
        found = dropped(tmp_path / "dropped", cursor, reason="near_duplicate")
        cursor = found.next
    assert [row["document"] for row in found.rows] == [7]


def test_lines_that_are_no_rows_say_so_and_hostile_names_are_plain(tmp_path: Path):
    rows = [b"{", b"[1]", b'{"name":"x"}', canonical_json({"name": "\u202e<b>\x1b[1m", "reason": "made_up: because"})]
    (tmp_path / "dropped").write_bytes(b"\n".join(rows) + b"\n\n")
    found = dropped(tmp_path / "dropped").rows
    assert [bool(row["problem"]) for row in found] == [True, True, True, False]
    assert found[3]["name"] == r"\u202e<b>\x1b[1m" and found[3]["says"] == "made up"


@pytest.mark.parametrize("name", ['a "quoted" name', "back\\slash", "GRÖSSE", "tab\there"])
def test_names_that_json_writes_otherwise_are_found_too(tmp_path: Path, name: str):
    (tmp_path / "dropped").write_bytes(canonical_json({"name": name, "reason": "binary"}) + b"\n")
    assert len(dropped(tmp_path / "dropped", name=name.lower()).rows) == 1
