"""The prediction stage: what was said of the base model before it was trained, beside what it came to."""

from __future__ import annotations

from picochat.artifacts import layout
from picochat.core.config import Config
from picochat.evals.scaling.prediction import check_prediction
from picochat.stages.contract import StageContext

STAGE = "prediction"


def run(ctx: StageContext, config: Config) -> None:
    """Writes prediction_check.json. Outside of the band is a result, not an error. Raises `artifact.*`."""
    record = ctx.record(STAGE, config)
    prediction = ctx.store.read_report(layout.PREDICTION, "prediction")
    report = ctx.store.require_outputs(layout.report_path(layout.BASE), "base_report")
    said = record.add_input("prediction", layout.PREDICTION)
    record.add_input("base_report", layout.report_path(layout.BASE))
    body = check_prediction(prediction, said.sha256, report)
    ctx.store.write_report(layout.PREDICTION_CHECK, "prediction_check", body, record.manifest(ctx.clock.monotonic()))
