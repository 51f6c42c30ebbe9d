"""What ran and where: facts for manifests. An allow-list; nothing of the environment's variables enters."""

from __future__ import annotations

import functools
import platform
import sys
from pathlib import Path
from typing import Any

import picochat
from picochat.artifacts.reports import CodeRecord
from picochat.core.hashing import digest_of, sha256_file
from picochat.core.subprocesses import run_quiet

_PACKAGE = Path(picochat.__file__).parent
_CPU_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16")
NATIVE_BF16_CPU = ("amx_bf16", "avx512_bf16")
"""A CPU with one of these multiplies in bf16 itself."""


@functools.cache
def code_record() -> CodeRecord:
    """Version, commit and package digest of the code that is running."""
    head = run_quiet(["git", "rev-parse", "HEAD"], cwd=_PACKAGE)
    status = run_quiet(["git", "status", "--porcelain", "--untracked-files=no", "--", str(_PACKAGE)], cwd=_PACKAGE)
    return CodeRecord(
        version=picochat.__version__,
        git_commit=head.strip() if head else None,
        git_dirty=bool(status.strip()) if status is not None else None,
        package_digest=package_digest(_PACKAGE),
    )


def package_digest(package: Path) -> str:
    """Digest over the names and bytes of the package's source and data files."""
    files = sorted(p for p in package.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return digest_of([[str(p.relative_to(package)), sha256_file(p)] for p in files])


def cpu_features() -> list[str]:
    """The CPU features that matter here, as Linux names them; empty where they are not known."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return []
    flags = next((line.split(":", 1)[1].split() for line in text.splitlines() if line.startswith("flags")), [])
    return [flag for flag in _CPU_FLAGS if flag in flags]


def environment_record(**extra: Any) -> dict[str, Any]:
    """Python, platform and CPU; stages that use torch add its version, device and thread count."""
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu_features": cpu_features(),
        **extra,
    }
