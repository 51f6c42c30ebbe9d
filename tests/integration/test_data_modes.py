"""Three ways to the same documents: one held-out number, and packed rows that are as good as rows of their own."""

import numpy as np
import pytest
import torch
from tests.support.made_corpus import made_texts, make_corpus

from picochat.artifacts import layout
from picochat.artifacts.store import RunStore
from picochat.core.events import EventWriter
from picochat.core.fs import write_json
from picochat.data.batches import BatchStream
from picochat.data.order import SampleOrder
from picochat.data.rows import IGNORE
from picochat.inference.scoring import score_validation
from picochat.model.config import ModelConfig
from picochat.model.init import init_weights
from picochat.model.transformer import Transformer
from picochat.stages.contract import StageContext
from picochat.stages.shards import run as shards_stage
from picochat.stages.shards.config import ShardsConfig
from picochat.stages.text_inputs import ShardedText, TextInputs, build_validation, open_text_inputs
from picochat.stages.text_source import TextSource
from picochat.training.config import LoopConfig
from picochat.training.language_modeling import LanguageModeling

pytestmark = pytest.mark.integration
SEQ_LEN = 64
LOOP = LoopConfig(tokens=1000, seq_len=SEQ_LEN, micro_batch_size=4)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TextInputs]:
    """The same corpus and tokenizer, opened in each mode."""
    made = make_corpus(tmp_path_factory.mktemp("corpus"), made_texts(200))
    source = TextSource(corpus=str(made.text), tokenizer=str(made.tokenizer))
    found = {}
    for mode, packing in (
        ("memory", ""), ("sharded", ""), ("packed", "best_fit_crop"), ("packed whole", "no_crop"),
    ):  # fmt: skip
        root = tmp_path_factory.mktemp("mode")
        write_json(root / layout.RUN, {})
        events = EventWriter(root / layout.EVENTS)
        ctx = StageContext(RunStore(root), events, seed=1)
        if mode != "memory":
            settings = {"shard_bytes": 5000} | ({"packing": packing} if packing else {})
            values = {"data_mode": mode.partition(" ")[0], "row_tokens": SEQ_LEN, "text": source.as_dict()}
            shards_stage.run(ctx, ShardsConfig.from_dict(values | {"settings": settings}))
        record = ctx.record("base", LOOP)
        found[mode] = open_text_inputs(ctx.store, record, source, shards=mode != "memory")
        events.close()
    return found


@pytest.fixture(scope="module")
def model() -> Transformer:
    shape = {"vocab_size": 300, "dim": 32, "n_layers": 2, "n_heads": 2, "n_kv_heads": 1, "head_dim": 16}
    net = Transformer(ModelConfig.from_dict(shape | {"hidden_dim": 64, "max_seq_len": 256}))
    init_weights(net, torch.Generator().manual_seed(5))
    return net


def test_all_modes_give_the_same_validation_for_the_same_documents(texts: dict[str, TextInputs], model: Transformer):
    results = {mode: score_validation(model, build_validation(text, LOOP), 8) for mode, text in texts.items()}
    expected = results["memory"]
    assert expected.documents > 3 and expected.bpb > 0
    assert all(result == expected for result in results.values()), results


def test_baselines_and_exposure_are_told_in_every_mode(texts: dict[str, TextInputs]):
    for mode, text in texts.items():
        (exposure,) = text.exposure
        assert exposure.source == "source-0" and exposure.unique_tokens > 1000
        cut = mode == "packed"
        assert cut or set(text.baselines) == set(texts["memory"].baselines)
        assert cut or exposure.documents == texts["memory"].exposure[0].documents
    assert texts["sharded"].baselines == texts["memory"].baselines


@pytest.mark.parametrize("mode", ["packed", "packed whole"])
def test_packed_with_masks_equals_unpacked(texts: dict[str, TextInputs], model: Transformer, mode: str):
    """Every target's loss in its row, beside others, is the loss of its piece alone in a row."""
    text = texts[mode]
    assert isinstance(text, ShardedText)
    rows = text.rows(SEQ_LEN, 1)
    block = rows.take(np.arange(len(rows)))
    assert block.positions is not None
    tables = (block.tokens, block.targets, block.segments, block.positions)
    tokens, targets, segments, positions = (torch.from_numpy(table) for table in tables)
    beside = alone = worst = 0.0
    shared = 0
    with torch.no_grad():
        logits = model.logits(model(tokens, segments_BT=segments, positions_BT=positions))
        nats = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
        nats = nats.view(targets.shape)
        for row in range(len(rows)):
            for segment in range(1, int(segments[row].max()) + 1):
                place = segments[row] == segment
                own = model.logits(model(tokens[row, place].unsqueeze(0)))[0]
                single = torch.nn.functional.cross_entropy(own, targets[row, place], reduction="none")
                worst = max(worst, float((single - nats[row, place]).abs().max()))
                beside, alone = beside + float(nats[row, place].sum()), alone + float(single.sum())
                shared += segment > 1
    assert shared > 20, "rows hold several documents"
    assert worst < 1e-5 and abs(beside / alone - 1) < 1e-6
    with torch.no_grad():
        unmasked = model.logits(model(tokens))
    wrong = torch.nn.functional.cross_entropy(unmasked.flatten(0, 1), targets.flatten(), reduction="none")
    assert float((wrong.view(targets.shape) - nats).abs().max()) > 1e-3, "without masks documents see each other"


def test_positions_that_begin_again_change_nothing_but_rounding(texts: dict[str, TextInputs], model: Transformer):
    """Rotary positions are relative: a document sees the same distances wherever it stands."""
    rows = texts["packed whole"].rows(SEQ_LEN, 1)
    losses = []
    for restart in (True, False):
        stream = BatchStream(rows, SampleOrder(len(rows), 3).samples_at, micro_batch_size=len(rows), micro_batches=1)
        (batch,) = stream.draw_step()
        assert batch.positions_BT is not None and (batch.positions_BT[:, 1:] == 0).any()
        if not restart:
            batch = type(batch)(**{**batch.__dict__, "positions_BT": None})
        output = LanguageModeling(0.0, 1024)(model, batch)
        losses.append(float(output.loss_sum.detach()) / batch.num_targets)
    assert abs(losses[0] - losses[1]) < 1e-5


def test_no_target_of_a_packed_row_belongs_to_another_document(texts: dict[str, TextInputs]):
    tok = texts["packed"].tokenizer
    for mode in ("packed", "packed whole"):
        rows = texts[mode].rows(SEQ_LEN, 1)
        block = rows.take(np.arange(len(rows)))
        assert not (block.targets == tok.bos).any() and not (block.targets == tok.pad).any()
        assert (block.targets[:, :-1][block.tokens[:, 1:] == tok.bos] == IGNORE).all()
