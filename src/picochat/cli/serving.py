"""The model behind a server: loaded, proved, and judged by what the gate said of it."""

from __future__ import annotations

import datetime

from picochat.cli.codec_source import open_codec
from picochat.cli.serve_source import Source
from picochat.distributed.probe import choose_device, choose_precision, set_threads
from picochat.inference.engine.engine import Engine
from picochat.inference.engine.settings import EngineSettings
from picochat.inference.loader import Precision, load_model
from picochat.judgement.served_verdict import read_served_verdict
from picochat.serving.served import ServedModel, Service
from picochat.serving.settings import ServeConfig


def load_service(source: Source, config: ServeConfig, device: str) -> Service:
    """Loads, proves and judges. Raises `checkpoint.*`, `artifact.*`, `engine.*`, `device.missing`."""
    set_threads(config.threads)
    chosen = choose_device(device)
    precision: Precision = "bf16" if chosen.type == "cuda" and choose_precision("auto", chosen)[0] == "bf16" else "fp32"
    loaded = load_model(source.checkpoint, chosen, precision, run_digest=source.run_digest)
    codec = open_codec(source.tokenizer)
    engine = Engine(loaded, codec, EngineSettings(slots=config.slots, max_waiting_jobs=config.max_waiting))
    manifest = loaded.manifest
    served = ServedModel(
        id=config.model_id or source.name,
        created=int(datetime.datetime.fromisoformat(manifest.saved_at).timestamp()),
        run=source.run,
        stage=manifest.stage,
        step=manifest.step,
        weights_digest=loaded.weights_digest,
        verdict=read_served_verdict(source.root, loaded.weights_digest),
        max_model_len=loaded.model.config.max_seq_len,
        codec=codec,
    )
    return Service(served, engine)
