import itertools
from pathlib import Path

import numpy as np
import pytest
from datasketch import MinHash, MinHashLSH
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.data.duplicates.made import edit_words, made_corpus, random_words, search_forms

from picochat.data.duplicates.config import DuplicatesConfig
from picochat.data.duplicates.near import find_near_duplicates
from picochat.data.duplicates.shingles import jaccard, shingle_one
from picochat.data.duplicates.sketch import Sketches
from picochat.data.duplicates.table import SketchTable

ENGINES = ["numpy", "rensa"]
CONFIG = DuplicatesConfig(engine="numpy")


def true_pairs(forms: list[str], threshold: float = 0.6) -> dict[tuple[int, int], float]:
    """The brute force: every pair that reaches the threshold."""
    sets = [shingle_one(form, CONFIG) for form in forms]
    found = {(i, j): jaccard(sets[i], sets[j]) for i, j in itertools.combinations(range(len(forms)), 2)}
    return {pair: similarity for pair, similarity in found.items() if similarity >= threshold}


def roots_of(n: int, links) -> list[int]:
    root = list(range(n))
    for a, b in links:
        low, high = sorted((root[a], root[b]))
        root = [low if x == high else x for x in root]
    return root


def clusters_of(found, names) -> set[frozenset]:
    """The clusters, as sets of the documents' names."""
    members: dict[int, set] = {}
    for number, root in enumerate(found.root.tolist()):
        members.setdefault(root, set()).add(names[number])
    return {frozenset(group) for group in members.values()}


def check_removal(found, forms: list[str]) -> None:
    """Each removed document has an earlier twin that stays, and no two that stay in a cluster are near duplicates."""
    sets = [shingle_one(form, CONFIG) for form in forms]
    stays = found.twin < 0
    for number in np.flatnonzero(~stays).tolist():
        twin = int(found.twin[number])
        assert twin < number and stays[twin] and found.root[twin] == found.root[number]
        assert jaccard(sets[twin], sets[number]) >= 0.6
    for a, b in itertools.combinations(np.flatnonzero(stays).tolist(), 2):
        assert found.root[a] != found.root[b] or jaccard(sets[a], sets[b]) < 0.6
    assert found.stats["removed"] == int((~stays).sum())


@pytest.mark.parametrize("engine", ENGINES)
def test_clusters_are_those_of_a_brute_force_over_the_pairs_that_share_a_band(engine):
    forms = made_corpus(3)
    found, table = search_forms(forms, DuplicatesConfig(engine=engine))
    pairs = true_pairs(forms)
    met = {pair for pair in pairs if (table.bands[:, pair[0]] == table.bands[:, pair[1]]).any()}
    assert found.root.tolist() == roots_of(len(forms), met)
    assert len(met) >= 0.985 * len(pairs) and len(pairs) > 60
    sizes = np.bincount(found.root)
    assert found.stats["components"] == int((sizes > 1).sum()) > 30
    assert found.stats["engine"]["name"] == engine
    check_removal(found, forms)


@pytest.mark.parametrize("engine", ENGINES)
def test_datasketch_finds_the_same_pairs_but_for_what_banding_misses(engine):
    forms = made_corpus(4, n=200)
    found, table = search_forms(forms, DuplicatesConfig(engine=engine))
    pairs = true_pairs(forms)
    ours = {pair for pair in pairs if (table.bands[:, pair[0]] == table.bands[:, pair[1]]).any()}
    index = MinHashLSH(num_perm=128, params=(32, 4))
    sets = ({" ".join(words[i : i + 5]).encode() for i in range(len(words) - 4)} for words in map(str.split, forms))
    theirs = set()
    for number, minhash in enumerate(MinHash.generator(sets, num_perm=128)):
        theirs |= {(other, number) for other in index.query(minhash)} & pairs.keys()
        index.insert(number, minhash)
    assert all(pairs[pair] < 0.7 for pair in ours ^ theirs)
    assert min(len(ours), len(theirs)) >= 0.98 * len(pairs)
    assert found.root.tolist() == roots_of(len(forms), ours)


@given(st.integers(0, 2**32), st.sampled_from([3, 1000]))
@settings(max_examples=12, deadline=None)
def test_clusters_do_not_depend_on_the_order_of_the_documents(seed, max_bucket):
    config = DuplicatesConfig(engine="numpy", max_bucket=max_bucket)
    forms = made_corpus(seed, n=60, length=60)
    order = np.random.default_rng(seed).permutation(len(forms)).tolist()
    plain, _ = search_forms(forms, config)
    moved, _ = search_forms([forms[i] for i in order], config)
    assert clusters_of(plain, range(len(forms))) == clusters_of(moved, order)


@given(st.integers(0, 2**32), st.floats(0.1, 0.9))
@settings(max_examples=12, deadline=None)
def test_more_documents_never_split_a_cluster(seed, share):
    forms = made_corpus(seed, n=60, length=60)
    few = np.flatnonzero(np.random.default_rng(seed).random(len(forms)) < share).tolist()
    before, _ = search_forms([forms[i] for i in few], CONFIG)
    after, _ = search_forms(forms, CONFIG)
    for cluster in clusters_of(before, few):
        assert len({int(after.root[i]) for i in cluster}) == 1


def test_a_chain_loses_its_middle_alone():
    """a and c resemble b and not each other: both stay, and b goes with the first of them as its twin."""
    rng = np.random.default_rng(8)
    b = random_words(rng, 200)
    a, c = random_words(rng, 45) + b[45:], b[:155] + random_words(rng, 45)
    assert true_pairs([" ".join(words) for words in (a, b, c)]).keys() == {(0, 1), (1, 2)}
    found, _ = search_forms([" ".join(words) for words in (a, b, c)], CONFIG)
    assert found.root.tolist() == [0, 0, 0]
    assert found.twin.tolist() == [-1, 0, -1]
    # With b first, a and c go, each as a copy of b.
    found, _ = search_forms([" ".join(words) for words in (b, a, c)], CONFIG)
    assert found.twin.tolist() == [-1, 0, 0]


def test_many_documents_of_one_large_cluster():
    """A drifting text: each is near its neighbours only, so that the ones that stay stand some steps apart."""
    rng = np.random.default_rng(9)
    words, forms = random_words(rng, 150), []
    for _ in range(60):
        words = edit_words(rng, words, 0.02)
        forms.append(" ".join(words))
    order = rng.permutation(60).tolist()
    found, _ = search_forms([forms[i] for i in order], CONFIG)
    assert found.stats["components"] == 1 and 5 < 60 - found.stats["removed"] < 40
    check_removal(found, [forms[i] for i in order])


def test_all_documents_equal():
    form = " ".join(random_words(np.random.default_rng(0), 50))
    found, _ = search_forms([form] * 200, CONFIG)
    assert found.twin.tolist() == [-1] + [0] * 199 and found.root.tolist() == [0] * 200
    assert found.stats["verified"] == 199
    assert found.stats["largest_bucket"] == 200 and found.stats["candidate_pairs"] == 32 * 200 * 199 // 2


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("forms", [[], ["one document " * 10], ["", "short", "short"]], ids=["none", "one", "short"])
def test_nothing_to_find(engine, forms):
    found, _ = search_forms([form.strip() for form in forms], DuplicatesConfig(engine=engine))
    assert found.root.tolist() == list(range(len(forms))) and found.twin.tolist() == [-1] * len(forms)
    assert found.stats["removed"] == found.stats["links"] == found.stats["components"] == 0


def test_texts_without_word_spaces_and_of_any_script():
    rng = np.random.default_rng(10)
    signs = [chr(c) for c in range(0x4E00, 0x4F00)]
    chinese = "".join(rng.choice(signs, 300))
    edited = chinese[:150] + "\u4e00\u4e00" + chinese[152:]
    accents = " ".join("\u0434\u043e\u0301\u043c\u00e9" + w for w in random_words(rng, 60))
    forms = [chinese, accents, "".join(rng.choice(signs, 300)), edited, accents + " \U0001f600", chinese[:20]]
    found, _ = search_forms(forms, CONFIG)
    assert found.twin.tolist() == [-1, -1, -1, 0, 1, -1]


def test_only_candidates_are_compared():
    form = " ".join(random_words(np.random.default_rng(0), 50))
    candidates = np.array([False, True, True, False, True])
    found, _ = search_forms([form] * 5, CONFIG, candidates=candidates)
    assert found.twin.tolist() == [-1, -1, 1, -1, 1] and found.stats["documents"] == 3
    with pytest.raises(ValueError, match="4 candidates for a table of 5"):
        search_forms([form] * 5, CONFIG, candidates=candidates[:4])


def test_progress_goes_up_to_the_total_and_may_stop_the_search():
    seen = []
    search_forms(made_corpus(1, n=10), CONFIG, progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen) and seen[-1] == (33, 33)
    assert {(float(band), 33) for band in range(34)} <= set(seen)

    def stop(done: float, total: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search_forms(made_corpus(1, n=10), CONFIG, progress=stop)


def planted(folder: Path, bands: np.ndarray, forms: list[str], max_bucket: int = 1000):
    """A search over bands that are given instead of made; all signatures are equal, so that none is sorted out."""
    config = DuplicatesConfig(engine="numpy", max_bucket=max_bucket)
    table = SketchTable.create(folder / "table", len(forms), config)
    signature = np.arange(len(forms), dtype=np.uint8)[:, None].repeat(128, 1)
    signature[:, 10:] = 0
    table.put(0, Sketches(bands, signature, np.ones(len(forms), bool)))
    return find_near_duplicates(table, np.ones(len(forms), bool), forms.__getitem__, config, folder / "work")


def separate_bands(n: int) -> np.ndarray:
    return np.arange(n * 32, dtype=np.uint64).reshape(n, 32) * np.uint64(0x9E3779B97F4A7C15)


def test_a_pair_that_shares_many_buckets_is_compared_once(tmp_path):
    rng = np.random.default_rng(11)
    forms = [" ".join(random_words(rng, 40)) for _ in range(2)]
    bands = separate_bands(2)
    bands[:, 3:20] = 5
    found = planted(tmp_path, bands, forms)
    assert found.stats["candidate_pairs"] == 17 and found.stats["verified"] == 1 and found.stats["links"] == 0


def test_a_pair_whose_signatures_differ_is_not_compared(tmp_path):
    forms = [" ".join(random_words(np.random.default_rng(11), 40))] * 2
    table = SketchTable.create(tmp_path / "table", 2, CONFIG)
    bands = separate_bands(2)
    bands[:, 3] = 5
    table.put(0, Sketches(bands, np.array([[0] * 128, [0] * 51 + [1] * 77], np.uint8), np.ones(2, bool)))
    found = find_near_duplicates(table, np.ones(2, bool), forms.__getitem__, CONFIG, tmp_path / "work")
    assert found.stats["candidate_pairs"] == 1 and found.stats["verified"] == 0


def test_clusters_that_grow_towards_smaller_numbers_end_at_one_root(tmp_path):
    forms = [" ".join(random_words(np.random.default_rng(14), 40))] * 6
    bands = separate_bands(6)
    for band, one in enumerate((4, 3, 2, 1, 0)):
        bands[one + 1, band] = bands[one, band]
    found = planted(tmp_path, bands, forms)
    assert found.root.tolist() == [0] * 6 and found.twin.tolist() == [-1] + [0] * 5


def test_a_pair_that_thinning_passed_over_is_found_in_a_later_band(tmp_path):
    """30 pairs share one bucket that is thinned, and some hold no representative: a small bucket finds them later."""
    rng = np.random.default_rng(12)
    forms = [form for _ in range(30) for form in [" ".join(random_words(rng, 40))] * 2]
    bands = separate_bands(60)
    bands[:, 0] = 1
    first = planted(tmp_path / "first", bands, forms, max_bucket=30)
    missed = [number for number in range(0, 60, 2) if first.root[number + 1] == number + 1]
    assert first.stats["thinned_buckets"] == 1 and 14 <= len(missed) < 30
    bands[1::2, 9] = bands[::2, 9]
    later = planted(tmp_path / "later", bands, forms, max_bucket=30)
    assert later.root.tolist() == [number - number % 2 for number in range(60)]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_large_bucket_of_real_copies_is_still_one_cluster(engine):
    rng = np.random.default_rng(13)
    words = random_words(rng, 150)
    forms = [" ".join(edit_words(rng, words, 0.02)) for _ in range(80)]
    found, _ = search_forms(forms, DuplicatesConfig(engine=engine, max_bucket=10))
    assert found.stats["thinned_buckets"] > 0 and found.stats["components"] == 1
    assert found.root.tolist() == [0] * 80
    check_removal(found, forms)
