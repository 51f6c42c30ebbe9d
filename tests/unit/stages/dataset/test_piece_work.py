import gzip
import json
import random
import subprocess
import sys

import pytest
from tests.support.tiny_run import environment

from picochat.core.fs import write_json


@pytest.mark.parametrize("name", ["rows.jsonl.gz", "rows.txt"])
def test_memory_does_not_grow_with_a_file_that_is_read_whole(tmp_path, name):
    """A packed file of rows and a bare text file are one piece each, whatever their size."""
    peaks = []
    for documents in (300, 1200):
        folder = tmp_path / str(documents)
        folder.mkdir()
        write_large(folder / name, documents)
        kind = {"text": "text"} if "jsonl" in name else {"format": "guessed"}
        source = {"id": "a", "path": name} | kind
        write_json(folder / "pack.json", {"schema": "pack/1", "name": "p", "sources": [source]})
        peaks.append(peak_of_piece(folder / "pack.json", folder / "work"))
    assert peaks[1] - peaks[0] < 8e6, "32 MB more text"


def write_large(path, documents):
    rng = random.Random(documents)
    texts = (" ".join(f"word{rng.randrange(4000)}" for _ in range(4000)) for _ in range(documents))
    if path.suffix == ".gz":
        with gzip.open(path, "wt", compresslevel=1) as out:
            out.writelines(json.dumps({"text": text}) + "\n" for text in texts)
    else:
        path.write_text("\n\n".join(texts))


def peak_of_piece(pack, folder):
    """Bytes of memory that the work on the only piece takes at most, in a process of its own."""
    code = (
        "import sys, tracemalloc, pathlib\n"
        "from picochat.data.cleaning import CleaningConfig\n"
        "from picochat.data.duplicates.config import DuplicatesConfig\n"
        "from picochat.data.pack import load_pack\n"
        "from picochat.data.pieces import iter_pieces\n"
        "from picochat.stages.dataset.piece_work import PiecePlan, build_piece_worker\n"
        "pack, folder = load_pack(sys.argv[1]), pathlib.Path(sys.argv[2])\n"
        "folder.mkdir()\n"
        "plan = PiecePlan(tuple(pack.pack.sources), CleaningConfig(), DuplicatesConfig(near=False), 's', folder, 'b')\n"
        "(piece,) = iter_pieces(pack)\n"
        "tracemalloc.start()\n"
        "record = build_piece_worker(plan)(piece)\n"
        "assert record.kept == record.read > 200, record\n"
        "print(tracemalloc.get_traced_memory()[1])\n"
    )
    words = [sys.executable, "-c", code, str(pack), str(folder)]
    return int(subprocess.run(words, check=True, capture_output=True, text=True, env=environment()).stdout)
