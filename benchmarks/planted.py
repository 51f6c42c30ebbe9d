"""Planted contamination: made items, the forms in which they are hidden in a clean corpus, and two negative sets.

Items are word chains drawn from the corpus itself (each word follows the one before somewhere in it), so that they
share its words and pairs of words but none of its longer passages. Questions by length in words: 5 % have 4 to 7, 15 %
8 to 12, 70 % 14 to 40, 10 % 41 to 120; every second answer has 9 to 40 words, the others 1 to 5. All is seeded.
"""

from __future__ import annotations

import html
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from picochat.data.contamination.block import Block
from picochat.data.contamination.config import ContaminationConfig
from picochat.data.contamination.index import build_index
from picochat.data.contamination.items import Item, ItemSet
from picochat.data.contamination.scan import find_items, scan_block
from picochat.data.contamination.words import words_of

LENGTHS = ((0.05, 4, 7), (0.15, 8, 12), (0.70, 14, 40), (0.10, 41, 120))
LONG_DOCUMENT_WORDS = 50_000
REQUIRED = 0.99
REQUIRED_EDITED = 0.95
SYNONYMS = (
    "the:that a:one an:one is:was are:were of:from to:towards in:within and:plus or:else for:towards with:using "
    "if:when be:become as:like this:such that:which it:this by:through on:upon not:never can:may"
)


@dataclass(frozen=True)
class Form:
    """A way to hide an item: `hide(item, rng)` gives the texts to plant, in order, each in a document of its own."""

    name: str
    hide: Callable[[Item, random.Random], list[str]]
    fits: Callable[[Item], bool] = lambda item: True
    """Items that this form can be expected to show."""
    required: float | None = REQUIRED
    """None: reported, not required."""
    long: bool = False
    """Planted in documents of 50,000 words."""


def n_words(text: str) -> int:
    return len(words_of(text))


class Chain:
    """Makes text by following pairs of words of a corpus."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._next: dict[str, list[str]] = defaultdict(list)
        for text in texts:
            words = re.findall(r"[A-Za-z]+[,.]?", text)
            for word, follower in zip(words, words[1:], strict=False):
                self._next[word].append(follower)
        self._words = sorted(self._next)

    def text(self, length: int, rng: random.Random) -> str:
        """So many words."""
        words = [rng.choice(self._words)]
        while len(words) < length:
            followers = self._next.get(words[-1])
            words.append(rng.choice(followers) if followers else rng.choice(self._words))
        return " ".join(words)


def make_items(chain: Chain, count: int, rng: random.Random) -> list[Item]:
    """Items with the mix of lengths that the module states, the kinds spread evenly."""
    bounds = [(low, high) for share, low, high in LENGTHS for _ in range(round(share * count))]
    bounds = (bounds + [LENGTHS[2][1:]] * count)[:count]
    items = []
    for number, (low, high) in enumerate(bounds):
        answer = chain.text(rng.randint(9, 40) if number % 2 else rng.randint(1, 5), rng)
        question = chain.text(rng.randint(low, high), rng)
        items.append(Item(f"item-{number}", question, (answer,)))
    return items


def clean_items(chain: Chain, documents: Sequence[str], count: int, seed: int = 1) -> ItemSet:
    """Items of which none stands in the documents yet."""
    rng = random.Random(seed)
    items = make_items(chain, count, rng)
    for _ in range(20):
        found = flagged(ItemSet("planted", "eval", tuple(items)), documents)
        if not found:
            return ItemSet("planted", "eval", tuple(items))
        for number in found:
            old = items[number]
            question, answer = (chain.text(n_words(text), rng) for text in (old.question, old.answers[0]))
            items[number] = Item(old.id, question, (answer,))
    raise RuntimeError("the corpus holds whatever is made from it")


def flagged(items: ItemSet, documents: Sequence[str], *, joined: bool = True, block_chars: int = 4 << 20) -> set[int]:
    """Numbers of the items that are found in consecutive documents of one source."""
    index = build_index([items], ContaminationConfig())
    if not joined:
        return {number for found in find_items(index, documents) for number in found}
    found: set[int] = set()
    for first, last in _pieces(documents, block_chars):
        # Two documents before and after suffice here; scanning a corpus reads as many as a match can reach.
        low, high = max(0, first - 2), min(len(documents), last + 2)
        block = Block([text.encode() for text in documents[low:high]], range(low, high), joined=True)
        found |= {int(index.fields.item[match.field]) for match in scan_block(index, block)}
    return found


def _pieces(documents: Sequence[str], block_chars: int) -> Iterator[tuple[int, int]]:
    first = size = 0
    for number, text in enumerate(documents):
        size += len(text)
        if size >= block_chars or number + 1 == len(documents):
            yield first, number + 1
            first, size = number + 1, 0


def plant(documents: Sequence[str], items: Sequence[Item], form: Form, rng: random.Random) -> list[str]:
    """The documents with every item hidden in one, or at the joint of two."""
    out = list(documents)
    step = max(1, len(out) // max(1, len(items)))
    for number, item in enumerate(items):
        place = (number * step) % (len(out) - 1)
        texts = form.hide(item, rng)
        if len(texts) == 2:
            out[place] = f"{out[place]} {texts[0]}"
            out[place + 1] = f"{texts[1]} {out[place + 1]}"
        else:
            words = out[place].split(" ")
            at = rng.randrange(len(words) + 1)
            out[place] = " ".join([*words[:at], texts[0], *words[at:]])
    return out


def long_documents(documents: Sequence[str], count: int, rng: random.Random) -> list[str]:
    """Documents of 50,000 words, of the words of the corpus from another place each."""
    words = " ".join(documents).split()
    out = []
    for _ in range(count):
        start = rng.randrange(len(words))
        out.append(" ".join((words[start:] + words * (1 + LONG_DOCUMENT_WORDS // len(words)))[:LONG_DOCUMENT_WORDS]))
    return out


def _whole(item: Item) -> str:
    return f"{item.question}\n{item.answers[0]}"


def _case(item: Item, rng: random.Random) -> list[str]:
    return [rng.choice((str.upper, str.lower, str.title, str.swapcase))(_whole(item))]


def _spaces(item: Item, rng: random.Random) -> list[str]:
    gaps = ("\n", "  ", "\t", " \n\n ", "\u00a0", "\u2003", "\r\n", " \u200b")
    return ["".join(word + rng.choice(gaps) for word in _whole(item).split())]


def _compatible(item: Item, rng: random.Random) -> list[str]:
    """Ligatures, wide letters, decomposed accents, and every kind of quote and dash."""
    out = []
    for word in _whole(item).split():
        new = word.replace("ffi", "\ufb03").replace("fi", "\ufb01").replace("fl", "\ufb02")
        if rng.random() < 0.2:
            new = "".join(chr(ord(c) + 0xFEE0) if c.isascii() and c.isalnum() else c for c in new)
        opening, closing = rng.choice(
            (("\u201c", "\u201d"), ("\u2018", "\u2019"), ("\u00ab", "\u00bb"), ('"', '"'), ("", ""))
        )
        out.append(f"{opening}{new}{closing}" if rng.random() < 0.3 else new)
        if rng.random() < 0.1:
            out.append(rng.choice(("\u2014", "\u2026", "-")))
    return [" ".join(out)]


def _markup(item: Item, rng: random.Random) -> list[str]:
    """Tags around words, entities for spaces, quotes and letters."""
    out = []
    for word in html.escape(_whole(item)).split():
        tag = rng.choice(("b", "i", "em", "span", "a"))
        choice = rng.random()
        if choice < 0.15:
            word = f'<{tag} class="x">{word}</{tag}>'
        elif choice < 0.25 and word.isalpha():
            word = f"&#{ord(word[0])};{word[1:]}"
        elif choice < 0.3:
            word = f"&quot;{word}&amp;quot;"
        out.append(word + rng.choice((" ", " ", "&nbsp;", "<br/>", "</p>\n<p>")))
    return ["<p>" + "".join(out) + "</p>"]


def _split(item: Item, rng: random.Random) -> list[str]:
    words = _whole(item).split(" ")
    at = rng.randrange(1, len(words)) if len(words) > 1 else 1
    return [" ".join(words[:at]), " ".join(words[at:])]


def _edited(item: Item, rng: random.Random) -> list[str]:
    words = item.question.split(" ")
    words[rng.randrange(len(words))] = "zyxwvut"
    return [" ".join(words)]


def _reordered(item: Item, rng: random.Random) -> list[str]:
    """Stretches of 8 words, as sentences are long, in another order."""
    words = _whole(item).split()
    parts = [words[i : i + 8] for i in range(0, len(words), 8)]
    rng.shuffle(parts)
    return [". ".join(" ".join(part) for part in parts)]


def _paraphrased(item: Item, rng: random.Random) -> list[str]:
    """Common words for others of their meaning, every eighth word left out, two neighbours swapped in ten."""
    synonyms: dict[str, str] = {old: new for old, _, new in (pair.partition(":") for pair in SYNONYMS.split())}
    words = [synonyms.get(word.lower(), word) for word in _whole(item).split() if rng.random() >= 0.125]
    for place in range(0, len(words) - 1, 10):
        words[place], words[place + 1] = words[place + 1], words[place]
    return [" ".join(words)]


def _is_long(item: Item) -> bool:
    return n_words(item.question) >= 14


FORMS = (
    Form("verbatim", lambda item, rng: [_whole(item)]),
    Form("case", _case),
    Form("white space", _spaces),
    Form("NFKC and quotes", _compatible),
    Form("HTML entities and markup", _markup),
    Form("split over two documents", _split),
    Form("inside a 50,000-word document", lambda item, rng: [_whole(item)], long=True),
    Form("question only", lambda item, rng: [item.question], lambda item: n_words(item.question) >= 8),
    Form("answer only", lambda item, rng: [item.answers[0]], lambda item: n_words(item.answers[0]) >= 8),
    Form("one word edited (14 words and more)", _edited, _is_long, REQUIRED_EDITED),
    Form("one word edited (8 to 12 words)", _edited, lambda item: 8 <= n_words(item.question) < 13, None),
    Form("sentences reordered", _reordered, required=None),
    Form("paraphrased", _paraphrased, required=None),
)
"""The twelve forms; the edited word is shown by the length of the item."""


def recall(
    items: ItemSet, documents: Sequence[str], form: Form, seed: int = 2, most_long: int | None = None
) -> tuple[int, int]:
    """(found, planted) of the items that the form can be expected to show; `most_long` spares long documents."""
    rng = random.Random(seed)
    chosen = [number for number, item in enumerate(items.items) if form.fits(item)]
    if form.long:
        chosen = chosen[:most_long]
        documents = long_documents(documents, len(chosen) + 1, rng)
    planted = plant(documents, [items.items[number] for number in chosen], form, rng)
    return len(flagged(items, planted) & set(chosen)), len(chosen)


TEMPLATES = (
    "Read the short story below and answer in one sentence. Early in the morning the old {a} walked slowly past the "
    "{b} and asked the young {c} about the broken {d}. What did the {a} want to know?",
    "Choose the best ending for the following passage and explain your choice in simple words. When the {a} finally "
    "reached the {b}, everybody was surprised that the {c} had already left with the {d}.",
    "You are given a statement about a {a} and a {b}. Decide whether the statement follows from the text.",
    "Which of the following statements about the {a} is supported by the report on the {b}? The report says that a "
    "{c} was seen near the {d} late at night.",
)
SLOT_WORDS = 200
"""Different words that fill the templates."""
NUMBERS = (
    "Answer the question step by step and write only the final number after four hash signs. A shop sold {a} apples on "
    "Monday and {b} apples on Tuesday, and then {c} apples were thrown away. How many apples were sold?",
    "Please read the instructions carefully before you begin; use of a calculator is not permitted in this part of the "
    "test. Copyright the authors, all rights reserved. Compute {a} plus {b} minus {c}.",
    "Table {a}: total revenue {b} million, operating costs {c} million, unaudited; see the accompanying notes to the "
    "consolidated financial statements for {d}.",
)


def negative_set(kind: str, count: int, seed: int = 3) -> tuple[ItemSet, list[str]]:
    """Items, and documents with the same wording around other content: `templates` or `numbers`."""
    rng = random.Random(seed)
    templates, make = (TEMPLATES, _nouns) if kind == "templates" else (NUMBERS, _numbers)
    fillings = [make(rng) for _ in range(count)]
    items = [
        Item(f"{kind}-{number}", templates[number % len(templates)].format(**filling), (str(rng.randrange(10_000)),))
        for number, filling in enumerate(fillings)
    ]
    taken = {item.question for item in items}
    documents = []
    while len(documents) < 20 * count:
        text = rng.choice(templates).format(**make(rng))
        if text not in taken:
            documents.append(f"{text} The answer is {rng.randrange(10_000)}.")
    return ItemSet(kind, "eval", tuple(items)), documents


def _nouns(rng: random.Random) -> dict[str, str]:
    """Pronounceable words that are in no dictionary."""
    syllables = ("ba", "ke", "lo", "mi", "ru", "ta", "ne", "so", "vi", "du")
    chosen = rng.sample(range(SLOT_WORDS), 4)
    words = [syllables[n % 10] + syllables[n // 10 % 10] + syllables[n // 100] + "n" for n in chosen]
    return dict(zip("abcd", words, strict=True))


def _numbers(rng: random.Random) -> dict[str, str]:
    return {key: str(rng.randrange(2, 1000)) for key in "abcd"}


def false_positives(kind: str, count: int) -> tuple[int, int]:
    """(items flagged, items) of a negative set."""
    items, documents = negative_set(kind, count)
    return len(flagged(items, documents)), count
