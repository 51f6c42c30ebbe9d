"""A folder in BLiMP's form: every paradigm with made pairs, a good sentence beside a bad one."""

from __future__ import annotations

import json
from pathlib import Path

from picochat.evals.tasks.blimp_paradigms import PARADIGMS


def write_blimp(folder: Path, pairs: int = 4) -> Path:
    """`pairs` minimal pairs a paradigm, of sentences that stand in no other text."""
    folder.mkdir(parents=True)
    for name in PARADIGMS:
        rows = [
            {
                "sentence_good": f"The {name.replace('_', ' ')} number {number} sees the river.",
                "sentence_bad": f"The {name.replace('_', ' ')} number {number} see river the.",
                "UID": name,
                "field": "syntax",
                "linguistics_term": "made",
                "pairID": str(number),
            }
            for number in range(pairs)
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder
