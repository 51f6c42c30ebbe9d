"""Fetches the browser modules of the workbench and writes `static/vendor` anew: the only door by which they change.

Run from anywhere: python scripts/refresh_vendor.py [--into FOLDER]

Each package comes from the npm registry by name and version. Its archive must have the integrity that the registry
states and, once it was taken, the one that `vendor.json` remembers. Three edits are made and no other: a bare import
becomes a relative one, the comment that names a source map goes, uPlot gets a default export.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

VENDOR = Path(__file__).resolve().parents[1] / "src" / "picochat" / "workbench" / "static" / "vendor"
RECORD = "vendor.json"
LICENCES = "licences"
FETCH_S = 120
IMPORTS = {"preact": "./preact.js", "preact/hooks": "./hooks.js", "@preact/signals-core": "./signals-core.js"}
"""What a bare import becomes. There is no import map: it would be an inline script, which the page's policy forbids."""
BARE_IMPORT = re.compile(r'((?:\bfrom|\bimport)\s*)"([^"./][^"]*)"')
SOURCE_MAP = re.compile(r"\n?//# sourceMappingURL=\S+[ \t]*\n?\Z")
DEFAULT_EXPORT = "export default uPlot;\n"


class Package(NamedTuple):
    """`files` are paths in the package -> names here."""

    name: str
    version: str
    licence: str
    files: dict[str, str]


PACKAGES = (
    Package("preact", "11.2.0", "MIT", {"dist/preact.mjs": "preact.js", "hooks/dist/hooks.mjs": "hooks.js"}),
    Package("htm", "3.1.1", "Apache-2.0", {"dist/htm.mjs": "htm.js"}),
    Package("@preact/signals-core", "1.14.5", "MIT", {"dist/signals-core.mjs": "signals-core.js"}),
    Package("@preact/signals", "2.11.4", "MIT", {"dist/signals.mjs": "signals.js"}),
    Package("uplot", "1.6.32", "MIT", {"dist/uPlot.iife.min.js": "uplot.js", "dist/uPlot.min.css": "uPlot.css"}),
)


def main() -> int:
    """Writes the folder. Ends with 1 when an archive is not the one that was expected."""
    parser = argparse.ArgumentParser(description="Fetch the browser modules of the workbench.")
    parser.add_argument("--into", type=Path, default=VENDOR, help="another folder, to compare")
    folder: Path = parser.parse_args().into
    try:
        refresh(folder, read_known(VENDOR / RECORD))
    except (OSError, ValueError, subprocess.SubprocessError) as err:
        print(f"refresh_vendor: {err}", file=sys.stderr)
        return 1
    return 0


def refresh(folder: Path, known: dict[str, str]) -> None:
    """Fetches every package into `folder`. `known` is `name@version` -> integrity. Raises ValueError on a mismatch."""
    (folder / LICENCES).mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for package in PACKAGES:
        with tempfile.TemporaryDirectory() as scratch:
            archive, integrity = fetch(package, Path(scratch), known)
            with tarfile.open(archive) as opened:
                licence = read_member(opened, "LICENSE")
                rows += [
                    ship(package, integrity, read_member(opened, source), licence, source, folder)
                    for source in package.files
                ]
    rows.sort(key=lambda row: row["file"])
    (folder / RECORD).write_text(json.dumps({"files": rows}, indent=1) + "\n")


def read_known(record: Path) -> dict[str, str]:
    """The integrity of each archive that was taken before."""
    if not record.exists():
        return {}
    return {f"{row['package']}@{row['version']}": row["integrity"] for row in json.loads(record.read_text())["files"]}


def fetch(package: Package, scratch: Path, known: dict[str, str]) -> tuple[Path, str]:
    """The archive of a package and its integrity: stated by the registry, counted here, and equal to the known one."""
    spec = f"{package.name}@{package.version}"
    stated = json.loads(npm(scratch, "view", spec, "dist.integrity", "--json"))
    npm(scratch, "pack", spec, "--ignore-scripts", "--silent")
    (archive,) = scratch.glob("*.tgz")
    counted = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    for source, expected in (("the registry states", stated), (RECORD + " says", known.get(spec, counted))):
        if counted != expected:
            raise ValueError(f"{spec}: the archive has {counted}, {source} {expected}")
    return archive, counted


def npm(folder: Path, *words: str) -> str:
    """Standard output of npm. Raises CalledProcessError, FileNotFoundError without npm."""
    command = ["npm", *words, "--cache", str(folder / "cache")]
    return subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True, timeout=FETCH_S).stdout


def read_member(archive: tarfile.TarFile, path: str) -> bytes:
    """A regular file of the package. Raises ValueError when it has none of that name."""
    try:
        member = archive.extractfile(f"package/{path}")
    except KeyError:
        member = None
    if member is None:
        raise ValueError(f"the package has no file {path}")
    return member.read()


def ship(package: Package, integrity: str, data: bytes, licence: bytes, source: str, folder: Path) -> dict[str, Any]:
    """Writes one file and its licence; returns its row of the record."""
    name = package.files[source]
    shipped, edits = edit(name, data.decode())
    licence_file = f"{LICENCES}/{package.name.strip('@').replace('/', '-')}.txt"
    (folder / name).write_text(shipped)
    (folder / licence_file).write_bytes(licence)
    return {
        "file": name,
        "package": package.name,
        "version": package.version,
        "licence": package.licence,
        "licence_file": licence_file,
        "licence_sha256": hashlib.sha256(licence).hexdigest(),
        "path": source,
        "integrity": integrity,
        "upstream_sha256": hashlib.sha256(data).hexdigest(),
        "sha256": hashlib.sha256(shipped.encode()).hexdigest(),
        "edits": edits,
    }


def edit(name: str, text: str) -> tuple[str, list[str]]:
    """The text as it is shipped, and what was changed. Raises ValueError for a bare import that leads nowhere."""
    edits: list[str] = []

    def relative(found: re.Match[str]) -> str:
        if found[2] not in IMPORTS:
            raise ValueError(f"{name} imports {found[2]}, which is not vendored")
        edits.append(f"import {found[2]} -> {IMPORTS[found[2]]}")
        return f'{found[1]}"{IMPORTS[found[2]]}"'

    text = BARE_IMPORT.sub(relative, text) if name.endswith(".js") else text
    text, removed = SOURCE_MAP.subn("\n", text)
    edits += ["source map comment removed"] * removed
    if name == "uplot.js":
        text = text.rstrip("\n") + "\n" + DEFAULT_EXPORT
        edits.append("default export added")
    return text, edits


if __name__ == "__main__":
    sys.exit(main())
