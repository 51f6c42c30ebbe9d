"""What a checkpoint folder holds: fixed file names, and a manifest that signs them and itself (torch-free)."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field, ValidationError

from picochat.artifacts import layout
from picochat.artifacts.schema import VERSIONS, Record
from picochat.core.errors import PicochatError, refuse
from picochat.core.hashing import digest_of
from picochat.core.jsonio import parse_json, pretty_json

FORMAT_VERSION: Final = VERSIONS["checkpoint"]
MAX_MANIFEST_BYTES: Final = 1_000_000
TENSOR_FILES: Final = {
    "weights": layout.CKPT_WEIGHTS,
    "optimizer": layout.CKPT_OPTIMIZER,
    "rng": layout.CKPT_RNG,
    "ema": layout.CKPT_EMA,
}
FINITE_PARTS: Final = ("weights", "optimizer", "ema")
REQUIRED_FILES: Final = frozenset({layout.CKPT_MODEL_CONFIG, layout.CKPT_WEIGHTS, layout.CKPT_TRAIN_STATE})
ALLOWED_FILES: Final = REQUIRED_FILES | frozenset(TENSOR_FILES.values())

SLICED_PARTS: Final = ("optimizer", "ema")
"""Parts that lie in one file a rank when the ranks hold slices; each tensor's name begins with the part."""
_SLICE_NAME: Final = re.compile(r"slice-(\d{5})-of-(\d{5})\.safetensors")

Sha256 = Annotated[str, Field(pattern=r"\A[0-9a-f]{64}\z")]
Count = Annotated[int, Field(ge=0)]


class FileEntry(Record):
    """Size and digest of one file."""

    model_config = ConfigDict(strict=True)

    bytes: Count
    sha256: Sha256


class CheckpointManifest(Record):
    """MANIFEST.json, written last. `manifest_digest` is taken over all the other fields."""

    model_config = ConfigDict(strict=True)

    format_version: int
    stage: str
    step: Count
    tokens_seen: Count
    files: dict[str, FileEntry]
    fingerprint: dict[str, Any]
    """The conditions of the training, compared on resume."""
    world_size: Annotated[int, Field(ge=1)]
    weights_digest: Sha256
    run_digest: Sha256
    """sha256 of run.json: to which run the checkpoint belongs."""
    saved_at: str
    manifest_digest: Sha256

    @property
    def slices(self) -> list[str]:
        """The files of the ranks' slices, in the order of the ranks; none where the parts are whole."""
        return sorted(name for name in self.files if _SLICE_NAME.fullmatch(name))


def manifest_bytes(facts: dict[str, Any]) -> bytes:
    """The manifest's text from all fields but format version and own digest, which are added here."""
    body = {"format_version": FORMAT_VERSION, **facts}
    return pretty_json(body | {"manifest_digest": digest_of(body)})


def parse_manifest(data: bytes, what: str) -> CheckpointManifest:
    """Reads a manifest strictly. Raises `checkpoint.manifest_*`, `.format`, `.step`, `.name` or `.manifest`."""
    try:
        obj = parse_json(data, what, MAX_MANIFEST_BYTES)
    except PicochatError as err:
        refuse("checkpoint.manifest_json", err.detail)
    if not isinstance(obj, dict):
        refuse("checkpoint.manifest_json", f"{what} is a {type(obj).__name__}, not an object")
    version = obj.get("format_version")
    if type(version) is not int or version != FORMAT_VERSION:
        refuse("checkpoint.format", f"{what} has format version {version!r}, this code reads {FORMAT_VERSION}")
    _require_names(obj.get("files"), what)
    manifest = _validated(obj, what)
    _require_signed(obj, data, what)
    _require_slices(manifest, what)
    return manifest


def _require_names(files: Any, what: str) -> None:
    names = set(files) if isinstance(files, dict) else set()
    if unknown := sorted(name for name in names - ALLOWED_FILES if not _SLICE_NAME.fullmatch(name)):
        refuse("checkpoint.name", f"{what} lists {unknown[0]!r}, which is none of {', '.join(sorted(ALLOWED_FILES))}")
    if absent := sorted(REQUIRED_FILES - names):
        refuse("checkpoint.manifest", f"{what} does not list {absent[0]}")


def _require_slices(manifest: CheckpointManifest, what: str) -> None:
    """Slices of all ranks or of none, and no part both whole and in slices."""
    expected = [layout.checkpoint_slice(rank, manifest.world_size) for rank in range(manifest.world_size)]
    if manifest.slices and manifest.slices != expected:
        refuse(
            "checkpoint.world_size",
            f"{what} lists {len(manifest.slices)} slices, {manifest.slices[0]} first, for {manifest.world_size} ranks",
        )
    if manifest.slices and (both := [TENSOR_FILES[p] for p in SLICED_PARTS if TENSOR_FILES[p] in manifest.files]):
        refuse("checkpoint.manifest", f"{what} lists {both[0]} and slices of the same tensors")


def _validated(obj: dict[str, Any], what: str) -> CheckpointManifest:
    try:
        return CheckpointManifest.model_validate(obj)
    except ValidationError as err:
        first = err.errors()[0]
        place = ".".join(map(str, first["loc"]))
        code = "checkpoint.step" if place in {"step", "tokens_seen"} else "checkpoint.manifest"
        refuse(code, f"{what}: {place}: {first['msg']} (got {str(first['input'])[:80]})")


def _require_signed(obj: dict[str, Any], data: bytes, what: str) -> None:
    """One flipped bit anywhere changes either the canonical form or the digest of the fields."""
    try:
        canonical = pretty_json(obj) == data
    except ValueError:
        canonical = False
    body = {key: value for key, value in obj.items() if key != "manifest_digest"}
    if not canonical or digest_of(body) != obj["manifest_digest"]:
        refuse("checkpoint.manifest_digest", f"{what} was changed after it was written: its own digest does not match")
