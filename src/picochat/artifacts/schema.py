"""The schema versions of everything that is written, and the base class of written records."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from picochat.core.errors import refuse

VERSIONS = {
    "run": 1,
    "import_manifest": 1,
    "corpus_manifest": 1,
    "tokenizer_report": 1,
    "shards_manifest": 1,
    "base_report": 1,
    "sft_report": 1,
    "eval_report": 1,
    "benchmark_report": 1,
    "harness_report": 1,
    "honesty": 1,
    "memorisation": 1,
    "preflight": 1,
    "ladder": 1,
    "prediction": 1,
    "prediction_check": 1,
    "gate": 1,
    "waivers": 1,
    "summary": 1,
    "bundle": 1,
    "export": 1,
    "parity": 1,
    "imported_model": 1,
    "checkpoint": 1,
    "ddp_control": 1,
    "launch_plan": 1,
}


class Record(BaseModel):
    """A frozen record of the contract. Unknown keys are refused when it is verified, gated or loaded."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def from_json(cls, obj: Any, what: str) -> Self:
        """Checks a parsed document. Raises `artifact.schema` with the first thing that is wrong."""
        try:
            return cls.model_validate(obj)
        except ValidationError as err:
            first = err.errors()[0]
            refuse(
                "artifact.schema",
                f"{what}: {'.'.join(map(str, first['loc']))}: {first['msg']} ({err.error_count()} in all)",
            )

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True)


class SchemaTag(Record):
    """Name and integer version of a document's schema."""

    name: str
    version: int


def schema_tag(name: str) -> SchemaTag:
    return SchemaTag(name=name, version=VERSIONS[name])


def require_schema(obj: Any, name: str, what: str) -> dict[str, Any]:
    """The document, when it says that it is `name` in the version that this code writes. Raises `artifact.schema`."""
    tag = obj.get("schema") if isinstance(obj, dict) else None
    expected = schema_tag(name).to_json()
    if tag != expected:
        refuse("artifact.schema", f"{what} has schema {tag}, expected {expected}")
    return obj
