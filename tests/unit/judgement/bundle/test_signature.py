"""Signatures by a generated key: the right one holds, everything else does not."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from picochat.artifacts import layout
from picochat.artifacts.checks import CheckResult
from picochat.artifacts.reports import self_digest
from picochat.artifacts.store import RunStore
from picochat.core.errors import PicochatError
from picochat.core.jsonio import pretty_json
from picochat.judgement.bundle.plan import BundleOptions
from picochat.judgement.bundle.verify import verify_bundle
from picochat.judgement.bundle.write import write_bundle

pytest.importorskip("model_signing.signing", reason="NOT RUN: pip install 'picochat[sign]'")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Keys(NamedTuple):
    private: Path
    public: Path


@pytest.fixture(scope="module")
def make_keys(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Keys]:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    folder = tmp_path_factory.mktemp("keys")

    def make(name: str) -> Keys:
        key = ec.generate_private_key(ec.SECP256R1())
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
        public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
        keys = Keys(folder / f"{name}.pem", folder / f"{name}.pub.pem")
        keys.private.write_bytes(private)
        keys.public.write_bytes(public)
        return keys

    return make


@pytest.fixture(scope="module")
def keys(make_keys: Callable[[str], Keys]) -> Keys:
    return make_keys("mine")


@pytest.fixture(scope="module")
def signed(judged: Path, keys: Keys, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("signed") / "bundle"
    write_bundle(RunStore(judged), out, BundleOptions(), keys.private)
    return out


def result_of(bundle: Path, key: Path | None) -> CheckResult:
    (found,) = [result for result in verify_bundle(bundle, key) if result.id == "verify.signature"]
    return found


def test_the_key_that_signed_holds_in_folder_and_archive(
    judged: Path, signed: Path, keys: Keys, tmp_path: Path
) -> None:
    assert result_of(signed, keys.public).verdict == "pass"
    write_bundle(RunStore(judged), tmp_path / "a.tar", BundleOptions(), keys.private)
    results = verify_bundle(tmp_path / "a.tar", keys.public)
    assert {result.verdict for result in results if result.id in ("verify.signature", "verify.chain")} == {"pass"}
    assert not any(result.verdict == "block" for result in results)


def test_another_key_no_key_and_no_signature(
    signed: Path, keys: Keys, make_keys: Callable[[str], Keys], tmp_path: Path
) -> None:
    assert result_of(signed, make_keys("other").public).verdict == "block"
    unread = result_of(signed, None)
    assert (unread.verdict, unread.measured) == ("not_run", "signed, and not checked: no --public-key was given")
    unsigned = Path(shutil.copytree(signed, tmp_path / "bundle"))
    (unsigned / layout.BUNDLE_SIGNATURE).unlink()
    assert result_of(unsigned, keys.public).verdict == "block"


def change_record(bundle: Path) -> None:
    document = json.loads((bundle / layout.BUNDLE).read_bytes())
    document["name"] = "another"
    document["self_digest"] = self_digest(document)
    (bundle / layout.BUNDLE).write_bytes(pretty_json(document))


def edit_signature(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def edit(bundle: Path) -> None:
        path = bundle / layout.BUNDLE_SIGNATURE
        document = json.loads(path.read_bytes())
        change(document)
        path.write_text(json.dumps(document))

    return edit


def forge_payload(document: dict[str, Any]) -> None:
    envelope = document["dsseEnvelope"]
    payload = json.loads(base64.b64decode(envelope["payload"]))
    payload["predicate"]["resources"][0]["digest"] = "0" * 64
    envelope["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()


FORGED: dict[str, Callable[[Path], Any]] = {
    "the record, digested again": change_record,
    "no signatures": edit_signature(lambda d: d["dsseEnvelope"].update(signatures=[])),
    "another payload": edit_signature(forge_payload),
    "the signature of nothing": edit_signature(lambda d: d["dsseEnvelope"]["signatures"][0].update(sig="AAAA")),
    "an empty object": lambda b: (b / layout.BUNDLE_SIGNATURE).write_text("{}"),
    "no JSON": lambda b: (b / layout.BUNDLE_SIGNATURE).write_bytes(b"\xff\x00"),
    "deep JSON": lambda b: (b / layout.BUNDLE_SIGNATURE).write_text("[" * 100_000),
    "an empty file": lambda b: (b / layout.BUNDLE_SIGNATURE).write_bytes(b""),
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_signature_does_not_hold(signed: Path, keys: Keys, tmp_path: Path, kind: str) -> None:
    bundle = Path(shutil.copytree(signed, tmp_path / "bundle"))
    FORGED[kind](bundle)
    assert result_of(bundle, keys.public).verdict == "block"


def test_a_changed_file_under_a_signature_is_red(signed: Path, keys: Keys, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(signed, tmp_path / "bundle"))
    (bundle / "run/report.html").write_text("approved")
    results = verify_bundle(bundle, keys.public)
    assert any(result.verdict == "block" for result in results)


def test_keys_that_are_none_are_refused(judged: Path, signed: Path, keys: Keys, tmp_path: Path) -> None:
    (tmp_path / "text.pem").write_text("no key")
    for key, code in (
        (tmp_path / "text.pem", "bundle.key"),
        (keys.public, "bundle.key"),
        (tmp_path / "no", "usage.path"),
    ):
        with pytest.raises(PicochatError) as caught:
            write_bundle(RunStore(judged), tmp_path / "a.tar", BundleOptions(), key)
        assert caught.value.code == code
    for key in (tmp_path / "text.pem", keys.private):
        with pytest.raises(PicochatError) as caught:
            verify_bundle(signed, key)
        assert caught.value.code == "bundle.key"
    assert not (tmp_path / "a.tar").exists()
