"""Which files belong to a split: by the card, by names, by globs; whatever is not certain is refused."""

import pytest
from tests.unit.data.imports.made import refused

from picochat.data.imports.choose import choose_files
from picochat.data.imports.config import ImportConfig
from picochat.data.imports.manifest import PlannedFile

NAMES = [
    "README.md",
    "data/train-00000-of-00002.parquet",
    "data/train-00001-of-00002.parquet",
    "data/test-00000-of-00001.parquet",
    "de/train.jsonl.gz",
    "de/pretrain.jsonl",
    "de/training.jsonl",
    "script.py",
    "train.csv",
]
DATA = ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"]


def choose(names=NAMES, card=(), **values):
    asked = {"source": "hf:org/data", "text": "t", **values}
    if "files" not in asked and asked["source"] != "climbmix":
        asked.setdefault("split", "train")
    files = [PlannedFile(name=name, bytes=1) for name in names]
    units = choose_files(ImportConfig.from_dict(asked), files, list(card))
    assert [unit.number for unit in units] == list(range(len(units)))
    return [unit.files[0].name for unit in units]


def test_names_hold_the_split_as_a_word():
    assert choose() == [*DATA, "de/train.jsonl.gz", "train.csv"]
    assert choose(split="test") == ["data/test-00000-of-00001.parquet"]
    assert choose(config_name="de") == ["de/train.jsonl.gz"]


def test_globs_take_the_place_of_a_split():
    assert choose(files=["data/*.parquet"]) == ["data/test-00000-of-00001.parquet", *DATA]
    assert choose(files=["**/*.gz", "train.csv"]) == ["de/train.jsonl.gz", "train.csv"]


@pytest.mark.parametrize(
    "data_files",
    [
        "data/train-*",
        ["data/train-*"],
        [{"split": "train", "path": "data/train-*"}, {"split": "test", "path": "data/test-*"}],
        [{"split": "train", "path": ["./data/train-00000*", "data/train-00001*"]}],
        {"train": "data/train-*"},
    ],
)
def test_the_card_says_which_files_a_split_has(data_files):
    assert choose(card=[{"config_name": "default", "data_files": data_files}]) == DATA


def test_a_folder_in_the_card_is_looked_into():
    assert choose(card=[{"config_name": "de", "data_dir": "de"}]) == ["de/train.jsonl.gz"]
    card = [{"config_name": "de", "data_dir": "de", "data_files": [{"split": "train", "path": "*.gz"}]}]
    assert choose(card=card) == ["de/train.jsonl.gz"]


def test_one_of_several_configurations_is_named_or_is_the_default():
    card = [
        {"config_name": "de", "data_files": [{"split": "train", "path": "de/train*.gz"}]},
        {"config_name": "en", "data_files": [{"split": "train", "path": "data/train-*"}]},
    ]
    assert choose(card=card, config_name="en") == DATA
    assert choose(card=[card[0] | {"default": True}, card[1]]) == ["de/train.jsonl.gz"]
    assert choose(card=[card[0], card[1] | {"config_name": "default"}]) == DATA
    with refused("config.value", 2, "several configurations", "'de', 'en'", "config_name"):
        choose(card=card)
    with refused("config.value", 2, "no configuration 'fr'", "'de', 'en'"):
        choose(card=card, config_name="fr")


def test_nothing_that_matches_is_a_refusal_that_lists_what_is_there():
    with refused("import.no_files", 4, "split 'validation'", "'data/test-00000-of-00001.parquet'"):
        choose(split="validation")
    with refused("import.no_files", 4, "'train', 'valid'", "--split train"):
        choose(split="test", card=[{"data_files": {"train": "a", "valid": "b"}}])
    with refused("import.no_files", 4, "no files of rows", "'README.md', 'model.bin'"):
        choose(names=["README.md", "model.bin"])
    with refused("import.no_files", 4, "files = ['*.arrow']"):
        choose(files=["*.arrow"])
    with refused("import.no_files", 4):
        choose(names=["data.jsonl"])
    with refused("import.no_files", 4, "matches split 'train'"):
        choose(card=[{"data_files": {"train": "train-{0..9}.parquet"}}])


def test_a_file_without_rows_among_the_chosen_is_refused_and_not_left_out():
    with refused("import.no_files", 4, "'script.py'", "neither Parquet"):
        choose(files=["script.py", "train.csv"])


def test_climbmix_takes_exactly_the_shards_that_are_asked_for():
    names = [f"shard_{number:05d}.parquet" for number in range(12)] + ["README.md"]
    assert choose(names, source="climbmix", text="text", shards="9-11") == names[9:12]
    with refused("import.no_files", 4, "'shard_00012.parquet'"):
        choose(names, source="climbmix", text="text", shards="11-12")
