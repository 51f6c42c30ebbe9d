"""Everything that a judgement looks at, loaded once from the artifacts of a run. Nothing here decides."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from picochat.artifacts import layout
from picochat.artifacts.reports import FileRef, is_canonical
from picochat.artifacts.run_record import RunRecord
from picochat.artifacts.stage_reports import OPTIONAL_SCHEMAS, SCHEMAS
from picochat.artifacts.store import RunStore
from picochat.artifacts.waivers import Waiver, check_waivers
from picochat.checkpoint.format import ALLOWED_FILES, CheckpointManifest
from picochat.checkpoint.shapes import count_elements
from picochat.checkpoint.verify import check_checkpoint_files
from picochat.core.errors import PicochatError
from picochat.core.hashing import sha256_file
from picochat.core.jsonio import parse_json
from picochat.judgement.benchmarks import BenchmarkEvidence, load_benchmark
from picochat.judgement.documents import Document, load_document
from picochat.judgement.eval_sets import SETS, EvalSet, load_eval_set
from picochat.judgement.harness import HarnessEvidence, load_harness
from picochat.judgement.memorisation import MemorisationEvidence, load_memorisation
from picochat.judgement.prediction import PredictionEvidence, load_prediction

JUDGED_STAGE = layout.SFT
"""The stage whose checkpoint ships: what a gate approves is its digest."""
NUMBERED = re.compile(r"\.\d{3}(?=\.[^.]+$)")
"""The number in the name of an older record."""


class FileDigest(NamedTuple):
    bytes: int
    sha256: str


_NOTHING: Mapping[str, FileDigest] = MappingProxyType({})


class CheckpointFacts(NamedTuple):
    """A proved checkpoint folder, or the problem with it; `path` names the file when one is to blame."""

    path: str
    manifest: CheckpointManifest | None
    problem: str
    parameters: int | None = None
    """Elements of the weights; None where this copy lacks them."""


class RunEvidence:
    """The artifacts of one run. Every file is hashed at most once; gate and summary are not read."""

    def __init__(
        self,
        store: RunStore,
        left_out: Mapping[str, FileDigest] = _NOTHING,
        *,
        watch: Callable[[int], None] | None = None,
    ) -> None:
        """`left_out` are files that this copy of the run lacks on purpose, with what is said of them: every other
        record must say the same, and what was in them cannot be looked at.
        `watch` hears the size of each hashed file."""
        self.store = store
        self.left_out = left_out
        self._watch = watch
        self._digests: dict[Path, FileDigest | None] = {
            store.path(path): digest for path, digest in left_out.items() if not store.has(path)
        }
        self._proved: dict[str, CheckpointFacts] = {}

    def digest(self, relative: str) -> FileDigest | None:
        """Size and sha256 of a file of the run, or None when it is not there."""
        return self.digest_path(self.store.path(relative))

    def digest_of_ref(self, ref: FileRef) -> FileDigest | None:
        return self.digest_path(self.store.resolve(ref))

    def digest_path(self, path: Path) -> FileDigest | None:
        if path not in self._digests:
            found = FileDigest(path.stat().st_size, sha256_file(path)) if path.is_file() else None
            self._digests[path] = found
            if self._watch is not None and found is not None:
                self._watch(found.bytes)
        return self._digests[path]

    @functools.cached_property
    def run(self) -> RunRecord | None:
        return self._run[0]

    @functools.cached_property
    def run_problem(self) -> str:
        return self._run[1]

    @functools.cached_property
    def _run(self) -> tuple[RunRecord | None, str]:
        try:
            data = self.store.path(layout.RUN).read_bytes()
            obj = parse_json(data, layout.RUN)
            record = RunRecord.from_json(obj, layout.RUN)
        except OSError:
            return None, "missing"
        except PicochatError as err:
            return None, err.detail
        return record, "" if is_canonical(obj, data) else "not in canonical form"

    @functools.cached_property
    def run_digest(self) -> str:
        found = self.digest(layout.RUN)
        return found.sha256 if found else ""

    @functools.cached_property
    def documents(self) -> dict[str, Document]:
        """The reports of the stages by path, those of benchmarks and cross-checks last."""
        optional = {path: schema for path, schema in OPTIONAL_SCHEMAS.items() if self.store.has(path)}
        core = {path: load_document(self.store, path, schema) for path, schema in (SCHEMAS | optional).items()}
        return core | {added.report.path: added.report for added in (*self.benchmarks, *self.harness)}

    def report(self, stage: str) -> Document:
        return self.documents[layout.report_path(stage)]

    @functools.cached_property
    def benchmarks(self) -> list[BenchmarkEvidence]:
        paths = {name: layout.report_path(layout.benchmark_dir(name)) for name in self._folders(layout.BENCHMARKS)}
        return [
            load_benchmark(self.store, name, load_document(self.store, path, "benchmark_report"))
            for name, path in paths.items()
        ]

    @functools.cached_property
    def harness(self) -> list[HarnessEvidence]:
        """The cross-checks with lm-eval."""
        paths = {name: layout.report_path(layout.harness_dir(name)) for name in self._folders(layout.HARNESS)}
        return [
            load_harness(self.store, name, load_document(self.store, path, "harness_report"))
            for name, path in paths.items()
        ]

    def _folders(self, relative: str) -> list[str]:
        folder = self.store.path(relative)
        return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []

    @functools.cached_property
    def eval_sets(self) -> dict[str, EvalSet]:
        report = load_document(self.store, layout.report_path(layout.EVAL), "eval_report")
        return {name: load_eval_set(self.store, report, name) for name in SETS}

    @functools.cached_property
    def memorisation(self) -> MemorisationEvidence | None:
        """None for a run that was never asked."""
        report = self.documents.get(layout.MEMORISATION)
        corpus = self.documents[layout.CORPUS_MANIFEST]
        return load_memorisation(self.store, report, corpus, has_text=self.has_text) if report else None

    @functools.cached_property
    def prediction(self) -> PredictionEvidence | None:
        """None for a run of which nothing was predicted."""
        said, check = (self.documents.get(path) for path in (layout.PREDICTION, layout.PREDICTION_CHECK))
        return load_prediction(said, check, self.report(layout.BASE), self.run) if said else None

    @functools.cached_property
    def waivers(self) -> tuple[tuple[Waiver, ...], str]:
        """What a person let go, or the problem with the file, of which then nothing counts."""
        return check_waivers(self.store)

    @property
    def has_text(self) -> bool:
        """Whether this copy of the run was not made without its corpus on purpose."""
        return layout.CORPUS not in self.left_out and layout.CORPUS_DOCUMENTS not in self.left_out

    @functools.cached_property
    def checkpoints(self) -> dict[str, CheckpointFacts]:
        """The checkpoint folders that exist, by path; those of base and sft in any case."""
        judged = [layout.checkpoint_dir(stage) for stage in (layout.BASE, layout.SFT)]
        return {path: self._checkpoint(path) for path in dict.fromkeys([*judged, *self.store.checkpoint_folders()])}

    def _checkpoint(self, relative: str) -> CheckpointFacts:
        if relative not in self._proved:
            self._proved[relative] = self._prove(relative)
        return self._proved[relative]

    def _prove(self, relative: str) -> CheckpointFacts:
        folder = self.store.path(relative)
        if not folder.is_dir():
            return CheckpointFacts(relative, None, "missing")
        try:
            manifest = check_checkpoint_files(folder, self._left_out_of(relative))
            weights = folder / layout.CKPT_WEIGHTS
            return CheckpointFacts(relative, manifest, "", count_elements(weights) if weights.exists() else None)
        except PicochatError as err:
            names = {layout.CKPT_MANIFEST, *ALLOWED_FILES, *(path.name for path in folder.iterdir())}
            named = sorted(name for name in names if str(folder / name) in err.detail)
            return CheckpointFacts(f"{relative}/{named[0]}" if named else relative, None, f"[{err.code}] {err.detail}")

    def _left_out_of(self, folder: str) -> dict[str, FileDigest]:
        """What was left out of a folder, by the names of its files."""
        below = {path: digest for path, digest in self.left_out.items() if path.rpartition("/")[0] == folder}
        return {path.rpartition("/")[2]: digest for path, digest in below.items() if not self.store.has(path)}

    @property
    def weights(self) -> CheckpointFacts:
        """The checkpoint that is judged; the others are not read for it."""
        return self._checkpoint(layout.checkpoint_dir(JUDGED_STAGE))

    @property
    def parameters(self) -> float | None:
        """Of base, as its weights have them; where a copy lacks these, as those that grew out of them have."""
        counted = [self.checkpoints[layout.checkpoint_dir(stage)].parameters for stage in (layout.BASE, layout.SFT)]
        found = next((count for count in counted if count is not None), None)
        return found if found is not None else self.report(layout.BASE).number("model", "parameters")

    def archived(self, relative: str) -> list[str]:
        """Older records of a file: `report.json` -> `report.001.json`, ..."""
        path = self.store.path(relative)
        found = path.parent.glob(f"{path.stem}.*{path.suffix}") if path.parent.is_dir() else []
        return sorted(str(p.relative_to(self.store.root)) for p in found if NUMBERED.sub("", p.name) == path.name)
