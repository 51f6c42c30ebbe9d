"""The plan of an import: its source resolved once, and what a restart may go on with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from picochat.core.errors import refuse
from picochat.core.fs import make_dir, write_json
from picochat.core.jsonio import read_json
from picochat.data.imports.choose import choose_files
from picochat.data.imports.config import ANEW, COMMIT, ImportConfig
from picochat.data.imports.hub import Hub
from picochat.data.imports.local import differences, plan_local
from picochat.data.imports.manifest import PLAN, PLAN_SCHEMA, WORK, Origin, Plan
from picochat.data.imports.settings import DEFAULT_REVISION, setting_differences, settings_of


def require_same_settings(
    config: ImportConfig, settings: dict[str, Any], origin: Origin, folder: Path, finished: bool
) -> None:
    """Raises `import.settings`, naming each difference between the import in a folder and what is asked for."""
    if found := setting_differences(config, settings, origin):
        state = "a finished import" if finished else "an import that is not finished"
        refuse("import.settings", f"{folder} holds {state} with other settings: {'; '.join(found)}")


def read_plan(folder: Path) -> Plan | None:
    """The stored plan. Raises `import.folder` for a folder with files that belong to no import."""
    path = folder / PLAN
    if path.is_file():
        return Plan.from_json(read_json(path), str(path))
    others = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    if others:
        refuse("import.folder", f"{folder} holds {', '.join(others[:5])} and no import")
    return None


def make_plan(config: ImportConfig, folder: Path, hub: Hub) -> Plan:
    """Resolves the source and stores the plan. Raises `usage.path`, `config.*`, `hub.*`, `import.no_files`."""
    plan = resolve(config, folder, hub, config.revision or DEFAULT_REVISION)
    make_dir(folder / WORK)
    write_json(folder / PLAN, plan.to_json())
    return plan


def resolve(config: ImportConfig, folder: Path, hub: Hub, revision: str) -> Plan:
    """The source as it is now."""
    if config.kind == "local":
        origin, units = plan_local(config, folder)
    else:
        found = hub.dataset(config.dataset, revision)
        units = choose_files(config, found.files, found.configs)
        origin = Origin.model_validate(
            {
                "kind": config.kind,
                "name": config.dataset,
                "config_name": config.config_name,
                "split": config.split,
                "requested_revision": revision,
                "revision": found.commit,
                "endpoint": found.endpoint,
                "licence": config.licence or found.licence or "unknown",
                "licence_from": "given" if config.licence else "card" if found.licence else "unknown",
            }
        )
    return Plan.model_validate(
        {"schema": PLAN_SCHEMA, "origin": origin, "settings": settings_of(config), "units": units}
    )


def require_not_moved(config: ImportConfig, folder: Path, hub: Hub, plan: Plan) -> None:
    """Looks at the source again before a restart reads on. Raises `import.moved` or `source.changed`.

    A commit never changes, so only a branch or tag that was asked for by name is resolved again.
    """
    if plan.origin.kind == "local":
        found = differences(plan.units, plan_local(config, folder)[1])
        if found:
            listed = "; ".join(found[:10])
            refuse("source.changed", f"{plan.origin.name} has changed since the import began: {listed}", fix=ANEW)
        return
    requested = config.revision or DEFAULT_REVISION
    stored = plan.origin.revision
    if COMMIT.fullmatch(requested):
        return
    now = hub.dataset(plan.origin.name, requested).commit
    if now != stored:
        refuse(
            "import.moved",
            f"{requested} of {plan.origin.name} was commit {stored} when the import began and is {now} now",
            fix=f"go on with the stored commit: --revision {stored}; or start anew in another --out-dir",
        )
