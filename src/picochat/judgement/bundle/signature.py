"""Signatures of bundle.json by a key of one's own: the format of OpenSSF model signing, offline, an extra package."""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from typing import Any

from picochat.core.errors import refuse

PACKAGE = "model_signing"
INSTALL = "pip install 'picochat[sign]'"


def sign_file(path: Path, key: Path) -> bytes:
    """The signature of one file by a private key (PEM, elliptic curve). Raises `usage.extra` or `bundle.key`."""
    _require_file(key)
    signing = _load("signing")
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / "signature"
        try:
            signing.Config().use_elliptic_key_signer(private_key=key).sign(path, target)
            return target.read_bytes()
        except (AttributeError, OSError, TypeError, ValueError) as err:
            refuse("bundle.key", f"{key} signs nothing: {_first_line(err)}")


def signature_problem(path: Path, signature: Path, key: Path) -> str:
    """What is wrong with a signature under a public key (PEM); nothing when it holds.

    Raises `usage.extra` without the package and `bundle.key` for a key that is none.
    """
    _require_file(key)
    verifying = _load("verifying")
    try:
        checker = verifying.Config().use_elliptic_key_verifier(public_key=key)
    except Exception as err:
        refuse("bundle.key", f"{key} is no public key: {_first_line(err)}")
    try:
        checker.verify(path, signature)
    except Exception as err:  # whatever a hostile signature makes of the package: it does not hold
        return f"{type(err).__name__}: {_first_line(err)}"
    return ""


def _require_file(key: Path) -> None:
    if not key.is_file():
        refuse("usage.path", f"{key} does not exist", fix="give the path of a key file in PEM form")


def _load(module: str) -> Any:
    try:
        return importlib.import_module(f"{PACKAGE}.{module}")
    except ModuleNotFoundError as err:
        refuse(
            "usage.extra",
            f"a signature needs the package model-signing ({err.name} is not installed)",
            why="nothing else here makes or checks signatures",
            fix=INSTALL,
        )


def _first_line(err: Exception) -> str:
    text = str(err).strip()
    return text.splitlines()[0][:160] if text else type(err).__name__
