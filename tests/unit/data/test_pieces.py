"""The cuts of a pack: pieces tile a file, and say how many of its bytes each of them reads."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from picochat.data import pieces
from picochat.data.pack import load_pack
from picochat.data.pieces import iter_pieces


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.parquet"])
def test_the_pieces_of_a_large_file_share_its_bytes(tmp_path, monkeypatch, name):
    """Ranges of a Parquet file count row groups: they were once taken for bytes, and one process did all the work."""
    texts = [f"{number} {'word ' * 40}" for number in range(400)]
    if name.endswith("jsonl"):
        (tmp_path / name).write_text("".join(json.dumps({"t": text}) + "\n" for text in texts))
    else:
        pq.write_table(pa.table({"t": texts}), tmp_path / name, row_group_size=20, compression="none")
    source = {"id": "a", "path": name, "text": "t"}
    (tmp_path / "pack.json").write_text(json.dumps({"schema": "pack/1", "name": "p", "sources": [source]}))
    size = (tmp_path / name).stat().st_size
    monkeypatch.setattr(pieces, "PIECE_BYTES", size // 5)
    found = list(iter_pieces(load_pack(tmp_path / "pack.json")))
    assert len(found) >= 4 and [piece.number for piece in found] == list(range(len(found)))
    assert size - len(found) < sum(piece.bytes for piece in found) <= size
    assert max(piece.bytes for piece in found) < size // 2
