"""One model, asked: greedy ends of passages, likelihood of canaries, free samples, losses. Rows come out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from picochat.data.contamination.words import words_of
from picochat.data.memorisation.passages import Passage
from picochat.data.split import SIDES
from picochat.evals.memorisation import CANARY, LOSS, PASSAGE, SAMPLE
from picochat.inference.candidates import score_candidates
from picochat.inference.greedy import follow_greedily
from picochat.inference.sampling import SamplingParams, generate_batch
from picochat.inference.scoring import score_texts
from picochat.stages.memorisation.config import MemorisationConfig
from picochat.stages.memorisation.material import Material
from picochat.stages.subject import Subject

Rows = list[dict[str, Any]]
Tell = Callable[[float, float, str], None]
DECIMALS = 4
SAMPLE_SEED = 0


class Asker:
    """Asks the model of a subject and labels its rows with `name`. Ranks share every batch."""

    def __init__(self, subject: Subject, name: str, config: MemorisationConfig, tell: Tell) -> None:
        self._subject, self._name, self._config, self._tell = subject, name, config, tell

    def ask(self, material: Material) -> Rows:
        """All rows of this model; those of samples do not know yet what they copy."""
        return [
            *self._continue(material),
            *self._expose(material),
            *self._sample(),
            *self._score(material),
        ]

    def _row(self, kind: str, **fields: Any) -> dict[str, Any]:
        return {"kind": kind, "model": self._name, **fields}

    def _continue(self, material: Material) -> Rows:
        """`reply` goes as far as the greedy continuation is the wanted one, and one id further where it is not."""
        prefix, loaded = material.spans.prefix, self._subject.loaded
        asked = [(side, passage) for side in SIDES for passage in material.continued[side]]
        self._tell(0, len(asked), f"{self._name}: continuing documents")
        bos = self._subject.tokenizer.bos
        items = [([bos, *passage.ids[:prefix]], passage.ids[prefix:]) for _, passage in asked]
        replies = follow_greedily(loaded.model, items, autocast=loaded.autocast, world=self._subject.world)
        return [
            self._row(PASSAGE, side=side, document=passage.document, wanted=passage.ids[prefix:], reply=reply)
            for (side, passage), reply in zip(asked, replies, strict=True)
        ]

    def _expose(self, material: Material) -> Rows:
        loaded, rows = self._subject.loaded, []
        for number, fact in enumerate(material.facts):
            self._tell(number, len(material.facts), f"{self._name}: canaries")
            scores = score_candidates(
                loaded.model, fact.prompt, fact.candidates, autocast=loaded.autocast, world=self._subject.world
            )
            true, *others = (round(score, DECIMALS) for score in scores)
            place = {"document": fact.row["document"], "copies": fact.row["copies"]}
            rows.append(self._row(CANARY, **place, logprob=true, references=others))
        return rows

    def _sample(self) -> Rows:
        """Free samples: nothing but BOS before them, at temperature 1."""
        tok, config = self._subject.tokenizer, self._config
        params = SamplingParams(temperature=1.0, seed=SAMPLE_SEED, max_new_tokens=config.sample_tokens)
        replies = generate_batch(
            self._subject.loaded.model,
            [[tok.bos]] * config.samples,
            params,
            {tok.eos},
            batch_size=config.batch_size,
            autocast=self._subject.loaded.autocast,
            on_progress=lambda done: self._tell(done, config.samples, f"{self._name}: free samples"),
            world=self._subject.world,
        )
        texts = [tok.decode(reply.ids, skip_special=True) for reply in replies]
        return [
            self._row(SAMPLE, number=number, text=text, words=len(words_of(text))) for number, text in enumerate(texts)
        ]

    def _score(self, material: Material) -> Rows:
        """The nats of each document's first tokens after BOS."""
        asked: list[tuple[str, Passage]] = [(side, passage) for side in SIDES for passage in material.scored[side]]
        self._tell(0, len(asked), f"{self._name}: losses")
        loaded, bos = self._subject.loaded, self._subject.tokenizer.bos
        items = [([bos], passage.ids) for _, passage in asked]
        scores = score_texts(loaded.model, items, autocast=loaded.autocast, world=self._subject.world)
        return [
            self._row(LOSS, side=side, document=passage.document, tokens=len(passage.ids), nats=round(-score, DECIMALS))
            for (side, passage), score in zip(asked, scores, strict=True)
        ]
