"""Datasets of the hub: one commit, verified files, and every way in which a hub lets one down."""

import hashlib
import sys

import pytest
from huggingface_hub import constants
from tests.support.stub_hub import DATASET
from tests.unit.data.imports.made import (
    AGAIN,
    Naps,
    contents,
    import_hub,
    import_local,
    parquet_bytes,
    refused,
    rows_of,
    texts_of,
)

from picochat.core.hashing import sha256_bytes
from picochat.data.imports import hub as hub_module
from picochat.data.imports.hub import Hub
from picochat.data.imports.manifest import DOWNLOADS, MANIFEST, PlannedFile

FILES = {"data/train-0.jsonl": rows_of("a", 9), "data/train-1.parquet": parquet_bytes("b", 9), "README.md": b"card"}


def test_a_branch_is_resolved_once_and_everything_about_it_is_written_down(hub, tmp_path):
    commit = hub.commit(FILES, card={"license": ["mit", "cc0-1.0"]})
    manifest = import_hub(hub, tmp_path / "out")
    source = manifest.source
    assert (source.kind, source.name, source.split, source.config_name) == ("hf", DATASET, "train", None)
    assert (source.requested_revision, source.revision, source.endpoint) == ("main", commit, hub.url)
    assert (source.licence, source.licence_from) == ("mit, cc0-1.0", "card")
    assert [(file.name, file.bytes, file.sha256, file.rows) for file in manifest.files] == [
        (name, len(FILES[name]), sha256_bytes(FILES[name]), 9) for name in sorted(FILES) if "train" in name
    ]
    assert len(texts_of(tmp_path / "out")) == manifest.documents == 18
    assert hub.asked() == {"GET": 5}
    assert {request.path for request in hub.requests if "api" in request.path} == {
        f"/api/datasets/{DATASET}/revision/main"
    }
    assert all(commit in request.path for request in hub.requests if "resolve" in request.path)


def test_files_are_fetched_one_at_a_time_and_removed_when_they_are_read(hub, tmp_path):
    hub.commit({f"train-{n}.jsonl": rows_of("a", 9) for n in range(3)})
    there = []

    def look(request):
        if request.host == "storage":
            there.append(sorted(path.name for path in (tmp_path / "out" / DOWNLOADS).iterdir()))

    hub.before_answer = look
    import_hub(hub, tmp_path / "out")
    assert there == [[], [], []]
    assert sorted(path.name for path in (tmp_path / "out").iterdir())[:2] == [".lock", MANIFEST]


def test_a_licence_that_is_given_stands_above_the_card(hub, tmp_path):
    hub.commit(FILES, card={"license": "mit"})
    source = import_hub(hub, tmp_path / "out", licence="CC-BY-4.0").source
    assert (source.licence, source.licence_from) == ("CC-BY-4.0", "given")
    hub.commit(FILES)
    source = import_hub(hub, tmp_path / "two").source
    assert (source.licence, source.licence_from) == ("unknown", "unknown")


def test_the_rows_are_those_of_the_same_files_on_a_disk(hub, tmp_path):
    hub.commit(FILES)
    import_hub(hub, tmp_path / "out", part_bytes=200)
    for name, data in FILES.items():
        (tmp_path / "s" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "s" / name).write_bytes(data)
    import_local(tmp_path / "s", tmp_path / "local", text="t", part_bytes=200, files=["data/*"])
    here, there = contents(tmp_path / "local"), contents(tmp_path / "out")
    assert here.keys() == there.keys()
    assert all(here[name] == there[name] for name in here.keys() - {MANIFEST})


def test_the_card_chooses_the_files_of_a_configuration(hub, tmp_path):
    card = {
        "configs": [
            {"config_name": "en", "data_files": [{"split": "train", "path": "en/*.jsonl"}]},
            {"config_name": "de", "data_files": [{"split": "train", "path": "de/*.jsonl"}]},
        ]
    }
    hub.commit({"en/x.jsonl": rows_of("en", 2), "de/x.jsonl": rows_of("de", 2)}, card=card)
    manifest = import_hub(hub, tmp_path / "out", config_name="de")
    assert [file.name for file in manifest.files] == ["de/x.jsonl"]
    assert manifest.source.config_name == "de"


def test_climbmix_is_its_shards_by_number(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("picochat.data.imports.config.CLIMBMIX_DATASET", DATASET)
    hub.commit({f"shard_{n:05d}.parquet": parquet_bytes(str(n), 3, "text") for n in range(4)})
    manifest = import_hub(hub, tmp_path / "out", source="climbmix", text=None, shards="1-2")
    assert [file.name for file in manifest.files] == ["shard_00001.parquet", "shard_00002.parquet"]
    assert (manifest.source.kind, manifest.text_column, manifest.documents) == ("climbmix", "text", 6)


def test_max_rows_fetches_no_file_for_nothing(hub, tmp_path):
    hub.commit({f"train-{n}.jsonl": rows_of("a", 9) for n in range(4)})
    manifest = import_hub(hub, tmp_path / "out", max_rows=12)
    assert hub.fetched() == ["train-0.jsonl", "train-1.jsonl"]
    assert (manifest.rows_read, manifest.files_left) == (12, 2)


def test_a_commit_may_be_asked_for(hub, tmp_path):
    first = hub.commit(FILES)
    hub.commit({"train.jsonl": rows_of("new", 1)})
    manifest = import_hub(hub, tmp_path / "out", revision=first)
    assert (manifest.source.revision, manifest.documents) == (first, 18)


@pytest.mark.parametrize("status", [500, 502, 503, 408, 429, 504])
@pytest.mark.parametrize("path", ["/revision/", "hub:.*/resolve/", "storage:"])
def test_what_may_pass_is_tried_again_with_growing_waits(hub, tmp_path, status, path):
    hub.commit(FILES)
    hub.fail(path, "status", status, times=3)
    naps = Naps()
    assert import_hub(hub, tmp_path / "out", naps).documents == 18
    assert naps == ([7.0, 14.0, 28.0] if status == 429 else [1.0, 2.0, 4.0])


@pytest.mark.parametrize("kind", ["reset", "drop", "short"])
def test_a_lost_connection_is_tried_again_and_the_file_continued(hub, tmp_path, kind):
    hub.commit(FILES)
    hub.fail("storage:.*train-0", kind, 100, times=2)
    naps = Naps()
    manifest = import_hub(hub, tmp_path / "out", naps)
    assert (manifest.documents, naps) == (18, [1.0, 2.0])
    ranges = [request.headers.get("range") for request in hub.requests if "train-0" in request.path]
    if kind != "reset":
        assert [value for value in ranges if value] == ["bytes=100-"] * 2 + ["bytes=200-"] * 2


def test_a_hub_without_ranges_sends_the_file_again(hub, tmp_path):
    hub.commit(FILES)
    hub.ranges = False
    hub.fail("storage:.*train-0", "drop", 100, times=1)
    assert import_hub(hub, tmp_path / "out", Naps()).documents == 18


@pytest.mark.parametrize(
    ("path", "kind", "value", "words"),
    [
        ("/revision/", "status", 503, "status 503 from 127.0.0.1"),
        ("storage:", "status", 500, "status 500"),
        ("storage:", "drop", 0, "Error"),
        ("storage:", "short", 0, "the body ended after 0 of"),
        ("hub:", "reset", None, "Error"),
    ],
)
def test_after_five_tries_the_command_that_goes_on_is_named(hub, tmp_path, path, kind, value, words):
    hub.commit(FILES)
    hub.fail(path, kind, value)
    naps = Naps()
    with refused("hub.unreachable", 5, "5 tries failed", words, AGAIN) as found:
        import_hub(hub, tmp_path / "out", naps)
    assert naps == [1.0, 2.0, 4.0, 8.0]
    assert "SIGNATURE" not in "".join(found[0].lines())
    hub.faults.clear()
    assert import_hub(hub, tmp_path / "out").documents == 18


def test_a_signed_address_that_has_run_out_is_asked_for_again(hub, tmp_path):
    hub.commit(FILES)
    hub.fail("storage:", "status", 403, times=1)
    naps = Naps()
    assert import_hub(hub, tmp_path / "out", naps).documents == 18
    assert naps == [1.0]


@pytest.mark.parametrize(
    ("fault", "token", "words"),
    [
        ((401, "RepoNotFound"), None, "HF_TOKEN is not set"),
        ((401, "RepoNotFound"), "hf_wrong", "a token was sent, from HF_TOKEN"),
        ((403, "GatedRepo"), None, "set HF_TOKEN"),
        ((404, "RepoNotFound"), None, "is not there, is private"),
        ((404, ""), None, "(404;"),
    ],
)
def test_a_dataset_that_is_missing_or_hidden_names_the_variable_of_the_token(hub, tmp_path, fault, token, words):
    hub.commit(FILES)
    hub.fail("/api/", "status", fault)
    with refused("hub.access", 2, words, "HF_TOKEN"):
        import_hub(hub, tmp_path / "out", token=token)


def test_a_file_that_is_closed_to_the_user_names_the_variable_too(hub, tmp_path):
    hub.commit(FILES)
    hub.fail("hub:.*train-1", "status", (403, "GatedRepo"))
    with refused("hub.access", 2, "train-1.parquet", "HF_TOKEN"):
        import_hub(hub, tmp_path / "out")


def test_a_revision_that_is_not_there_is_refused(hub, tmp_path):
    hub.commit(FILES)
    with refused("hub.revision", 2, "v9", "--revision"):
        import_hub(hub, tmp_path / "out", revision="v9")
    with refused("hub.revision", 2, "f" * 40):
        import_hub(hub, tmp_path / "two", revision="f" * 40)


@pytest.mark.parametrize("gone", [(404, "EntryNotFound"), (404, "RevisionNotFound"), (404, "RepoNotFound")])
def test_a_source_that_vanishes_in_the_middle_keeps_what_is_finished(hub, tmp_path, gone):
    hub.commit(FILES)
    hub.fail("hub:.*train-1", "status", gone)
    with refused("source.vanished", 4, "train-1.parquet", "gone from the hub", "another --out-dir"):
        import_hub(hub, tmp_path / "out")
    assert (tmp_path / "out" / "part-00000-000.jsonl.zst").is_file()


@pytest.mark.parametrize(
    ("listed", "words"),
    [
        ({"sha256": "0" * 64}, "the hub says 000000000000"),
        ({"size": 10_000}, "the hub's list says 10,000"),
        ({"size": 101}, "the hub's list says 101"),
    ],
)
def test_a_file_that_is_not_what_the_list_says_is_refused(hub, tmp_path, listed, words):
    hub.commit(FILES)
    hub.listed["data/train-0.jsonl"] = listed
    with refused("import.digest", 4, "train-0.jsonl", words):
        import_hub(hub, tmp_path / "out")
    assert not (tmp_path / "out" / MANIFEST).exists()
    left = sum(path.stat().st_size for path in (tmp_path / "out" / DOWNLOADS).iterdir())
    assert left == 0


def test_bytes_of_the_right_length_that_are_other_bytes_are_refused(hub, tmp_path):
    hub.commit(FILES)
    hub.fail("storage:.*train-0", "wrong", b"x" * len(FILES["data/train-0.jsonl"]))
    with refused("import.digest", 4, f"sha256 {sha256_bytes(b'x' * len(FILES['data/train-0.jsonl']))[:12]}"):
        import_hub(hub, tmp_path / "out")


def test_a_small_file_without_sha256_is_checked_by_its_git_digest(hub, tmp_path):
    data = b'{"t": "small"}\n'
    hub.commit({"train.jsonl": data})
    assert import_hub(hub, tmp_path / "out").files[0].sha256 == sha256_bytes(data)
    hub.fail("hub:.*/resolve/", "wrong", b'{"t": "smell"}\n')
    with refused("import.digest", 4, "git's digest"):
        import_hub(hub, tmp_path / "two")


def test_a_body_that_never_ends_does_not_fill_the_disk(hub, tmp_path, monkeypatch):
    hub.commit({"train.jsonl": b'{"t": "small"}\n'})
    hub.fail("hub:.*/resolve/", "short", 5_000_000)
    monkeypatch.setattr(
        hub,
        "before_answer",
        lambda request: (
            "resolve" in request.path and hub.commits[hub.branches["main"]].update({"train.jsonl": b"x" * 99})
        ),
    )
    with refused("import.digest", 4, "comes with"):
        import_hub(hub, tmp_path / "out")


def test_what_an_earlier_attempt_left_is_continued_or_made_good(hub, tmp_path):
    data = rows_of("a", 30)
    hub.commit({"train.jsonl": data})
    file = PlannedFile(name="train.jsonl", bytes=len(data), sha256=sha256_bytes(data))
    asker = Hub(hub.url)
    commit = hub.branches["main"]
    for left, asked in (
        (data[:400], ["bytes=400-"]),
        (data, []),
        (b"?" * 400, ["bytes=400-", None]),
        (data + b"more", [None]),
        (b"?" * len(data), [None]),
        (b"", [None]),
    ):
        hub.requests.clear()
        target = tmp_path / "f"
        target.write_bytes(left)
        assert asker.fetch(DATASET, commit, file, target) == sha256_bytes(data)
        assert target.read_bytes() == data
        assert [request.headers.get("range") for request in hub.requests if request.host == "storage"] == asked


def test_the_disk_is_looked_at_before_a_file_is_fetched(hub, tmp_path, monkeypatch):
    hub.commit(FILES)
    monkeypatch.setattr(hub_module, "free_bytes", lambda _: 50)
    with refused("disk.full", 5, "train-0.jsonl", "50 bytes are free"):
        import_hub(hub, tmp_path / "out")
    assert hub.fetched() == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"<html>", "cannot be read"),
        (b"[]", "cannot be read"),
        (b'{"id": "org/data"}', "names no commit"),
        (b'{"id": "org/data", "sha": "abc", "siblings": []}', "names no commit"),
        (b'{"id": "org/data", "sha": "%s", "siblings": [{"rfilename": "a"}]}' % (b"a" * 40), "no size of 'a'"),
        (
            b'{"id": "org/data", "sha": "%s", "siblings": [{"rfilename": "../a", "size": 1}]}' % (b"a" * 40),
            "outside of the dataset",
        ),
    ],
)
def test_an_answer_that_cannot_be_read_is_refused(hub, tmp_path, answer, words):
    hub.commit(FILES)
    hub.fail("/revision/", "wrong", answer)
    with refused("hub.answer", 5, words):
        import_hub(hub, tmp_path / "out")


def test_another_commit_than_the_one_that_was_asked_for_is_refused(hub, tmp_path):
    commit = hub.commit(FILES)
    other = hashlib.sha1(b"other").hexdigest()
    hub.branches[other] = commit
    with refused("hub.answer", 5, commit, other):
        import_hub(hub, tmp_path / "out", revision=other)
    hub.fail("/revision/", "status", 418)
    with refused("hub.answer", 5, "status 418"):
        import_hub(hub, tmp_path / "two")


def test_a_machine_that_is_set_to_stay_offline_says_so(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with refused("hub.unreachable", 5, "HF_HUB_OFFLINE", AGAIN):
        import_hub(hub, tmp_path / "out")
    assert hub.requests == []


def test_without_the_package_the_refusal_names_what_to_install(hub, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with refused("usage.extra", 2, "huggingface_hub is not installed", "pip install 'picochat[data]'"):
        import_hub(hub, tmp_path / "out")
