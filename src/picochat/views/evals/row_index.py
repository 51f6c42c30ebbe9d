"""Where each row of a JSON Lines file lies and what it is found by, so that a page of a large file is read alone.

build_index(root, "eval/rows.jsonl") -> RowIndex      one pass, 30 bytes a row in memory
read_rows(root, index, places)                        those rows alone
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from picochat.core.confined import open_below, reason_of
from picochat.core.errors import PicochatError
from picochat.core.hashing import sha256_bytes
from picochat.core.jsonio import parse_json
from picochat.views.evals.artifact_state import NOT_YET
from picochat.views.evals.eval_rows import BENIGN_TWINS, FAIL, FLAGS, PASS, REFUSED, Facets, facets_of
from picochat.views.evals.shown import shown

MAX_ROWS = 2_000_000
MAX_LINE_BYTES = 4 * 1024 * 1024
MAX_CATEGORIES = 1_000
OTHER = "(other)"
_VERDICTS = (None, PASS, FAIL)


@dataclass
class RowIndex:
    """The rows of one file in their order. A row that cannot be read is counted, never hidden."""

    path: str
    state: str = "ready"
    """ready, missing or unreadable."""
    why: str = ""
    torn: bool = False
    """The last line has no end: a crash left it."""
    whole: bool = True
    """False when there are more rows than are indexed."""
    unreadable: int = 0
    offsets: array[int] = field(default_factory=lambda: array("Q"))
    verdicts: array[int] = field(default_factory=lambda: array("B"))
    flags: array[int] = field(default_factory=lambda: array("B"))
    categories: array[int] = field(default_factory=lambda: array("H"))
    ids: array[int] = field(default_factory=lambda: array("Q"))
    questions: array[int] = field(default_factory=lambda: array("Q"))
    names: dict[str, int] = field(default_factory=dict)
    """Categories with their numbers, in the order in which they were met."""

    def __len__(self) -> int:
        return len(self.offsets)

    def verdict(self, place: int) -> str | None:
        return _VERDICTS[self.verdicts[place]]

    def has_flag(self, place: int, flag: str) -> bool:
        return bool(self.flags[place] >> FLAGS.index(flag) & 1)

    def in_category(self, place: int, category: str) -> bool:
        return self.categories[place] == self.names.get(category)

    def add(self, offset: int, facets: Facets) -> None:
        self.offsets.append(offset)
        self.verdicts.append(_VERDICTS.index(facets.verdict))
        self.flags.append(sum(1 << FLAGS.index(flag) for flag in facets.flags))
        self.categories.append(self._number(facets.category))
        self.ids.append(_short(facets.id))
        self.questions.append(int(facets.question[:16], 16))

    def _number(self, category: str) -> int:
        if category not in self.names and len(self.names) >= MAX_CATEGORIES:
            category = OTHER
        return self.names.setdefault(category, len(self.names))

    def counts(self) -> dict[str, Any]:
        """Rows by verdict, fault and category, for the filters; a category is asked for by its name and shown by its
        title."""
        seen = Counter(zip(self.categories, self.verdicts, strict=True))
        verdicts, flags = Counter(self.verdicts), Counter(self.flags)
        return {
            "rows": len(self),
            **{word: verdicts[_VERDICTS.index(word)] for word in (PASS, FAIL)},
            **{flag: sum(n for bits, n in flags.items() if bits >> place & 1) for place, flag in enumerate(FLAGS)},
            "categories": [
                {
                    "category": name,
                    "title": shown(name),
                    "n": sum(seen[number, verdict] for verdict in range(len(_VERDICTS))),
                }
                | {word: seen[number, _VERDICTS.index(word)] for word in (PASS, FAIL)}
                for name, number in sorted(self.names.items())
            ],
        }

    def benign(self) -> tuple[int, int]:
        """Harmless requests that were refused, and all of them."""
        twins = {number for name, number in self.names.items() if name.endswith(BENIGN_TWINS)}
        places = [place for place, number in enumerate(self.categories) if number in twins]
        return sum(self.has_flag(place, REFUSED) for place in places), len(places)

    def by_id(self) -> dict[int, int]:
        """Place by the digest of the id; of an id that stands twice the first."""
        found: dict[int, int] = {}
        for place, row_id in enumerate(self.ids):
            found.setdefault(row_id, place)
        return found


def build_index(root: Path, relative: str) -> RowIndex:
    """Reads the file once. A file that is missing or no file of the run is a state of the index."""
    index = RowIndex(relative)
    try:
        with open_below(root, relative) as stream:
            _walk(index, stream)
    except FileNotFoundError:
        index.state, index.why = "missing", NOT_YET
    except OSError as err:
        index.state, index.why = "unreadable", reason_of(err)
    return index


def _walk(index: RowIndex, stream: BinaryIO) -> None:
    offset = 0
    for line, size in _lines(stream):
        if not line.endswith(b"\n") and len(line) < MAX_LINE_BYTES:
            index.torn = True
            return
        if len(index) == MAX_ROWS:
            index.whole = False
            return
        row = _parse(line) if line.strip() else None
        if isinstance(row, dict):
            index.add(offset, facets_of(row))
        elif line.strip():
            index.unreadable += 1
        offset += size


def _lines(stream: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Each line, cut where it is endless, and the bytes that it takes in the file."""
    while line := stream.readline(MAX_LINE_BYTES):
        size = len(line)
        rest = line
        while len(rest) == MAX_LINE_BYTES and not rest.endswith(b"\n"):
            rest = stream.readline(MAX_LINE_BYTES)
            size += len(rest)
        yield line, size


def read_rows(root: Path, index: RowIndex, places: Iterable[int]) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """(place, row) in the order asked for; None for a row that is another one than was indexed. Raises OSError."""
    with open_below(root, index.path) as stream:
        for place in places:
            stream.seek(index.offsets[place])
            row = _parse(stream.readline(MAX_LINE_BYTES))
            same = isinstance(row, dict) and _short(facets_of(row).id) == index.ids[place]
            yield place, row if same else None


def pair_places(index: RowIndex, other: RowIndex, places: Sequence[int]) -> dict[int, int]:
    """For rows of one run the place of the same id in the other's file."""
    known = other.by_id()
    return {place: known[index.ids[place]] for place in places if index.ids[place] in known}


def same_question(index: RowIndex, place: int, other: RowIndex, other_place: int) -> bool:
    """Whether both rows ask the same: only then their verdicts may stand side by side."""
    return index.questions[place] == other.questions[other_place]


def _short(text: str) -> int:
    return int(sha256_bytes(text.encode(errors="surrogatepass"))[:16], 16)


def _parse(line: bytes) -> Any:
    try:
        return parse_json(line, "a row", MAX_LINE_BYTES)
    except PicochatError:
        return None
