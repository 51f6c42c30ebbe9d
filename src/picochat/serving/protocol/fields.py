"""Types of request fields that are more than a number in a range; each says its own JSON schema.

A field reads exactly what its schema says and refuses the rest by name: nothing is clamped, nothing is guessed.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

MAX_PROMPTS = 64
MAX_STOPS = 4
MAX_STOP_CHARS = 64
MAX_BIASES = 300
MAX_PARTS = 256
MAX_ID = 2**31 - 1
_ID = re.compile(r"0|[1-9][0-9]{0,9}")


def type_error(message: str) -> PydanticCustomError:
    return PydanticCustomError("picochat_type", "{message}", {"message": message})


def value_error(message: str) -> PydanticCustomError:
    return PydanticCustomError("picochat_value", "{message}", {"message": message})


Prompt = str | list[int]
"""A text, or token ids as they are."""


def parse_prompts(value: Any) -> list[Prompt]:
    """One to 64 prompts, none empty, from any of the four shapes of OpenAI's `prompt`."""
    if isinstance(value, str):
        return [_text(value)]
    if not isinstance(value, list):
        raise type_error(
            "a string, a list of strings, a list of token ids or a list of lists of token ids is asked for"
        )
    if not value:
        raise value_error("there is no prompt in it")
    if type(value[0]) is int:
        return [_ids(value)]
    if len(value) > MAX_PROMPTS:
        raise value_error(f"{len(value)} prompts, at most {MAX_PROMPTS} are taken")
    if all(isinstance(item, str) for item in value):
        return [_text(item) for item in value]
    if all(isinstance(item, list) for item in value):
        return [_ids(item) for item in value]
    raise type_error("its items are neither all strings, nor all ids, nor all lists of ids")


def _text(value: str) -> str:
    if not value:
        raise value_error("an empty prompt has nothing to go on from")
    return value


def _ids(value: list[Any]) -> list[int]:
    if not value:
        raise value_error("an empty prompt has nothing to go on from")
    if any(type(item) is not int for item in value):
        raise type_error("token ids are integers")
    if min(value) < 0 or max(value) > MAX_ID:
        raise value_error("a token id is negative or larger than any vocabulary")
    return value


_IDS_SCHEMA = {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0, "maximum": MAX_ID}}
Prompts = Annotated[
    list[Prompt],
    PlainValidator(parse_prompts),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": MAX_PROMPTS,
                    "items": {"type": "string", "minLength": 1},
                },
                _IDS_SCHEMA,
                {"type": "array", "minItems": 1, "maxItems": MAX_PROMPTS, "items": _IDS_SCHEMA},
            ]
        }
    ),
]


def parse_stops(value: Any) -> tuple[str, ...]:
    """A string or at most four, of 1 to 64 characters each."""
    stops = [value] if isinstance(value, str) else value
    if not isinstance(stops, list) or not all(isinstance(stop, str) for stop in stops):
        raise type_error("a string or a list of strings is asked for")
    if len(stops) > MAX_STOPS:
        raise value_error(f"{len(stops)} strings, at most {MAX_STOPS} are taken")
    for stop in stops:
        if not 1 <= len(stop) <= MAX_STOP_CHARS:
            raise value_error(f"a stop string has 1 to {MAX_STOP_CHARS} characters, this one has {len(stop)}")
    return tuple(stops)


_STOP_SCHEMA = {"type": "string", "minLength": 1, "maxLength": MAX_STOP_CHARS}
Stops = Annotated[
    tuple[str, ...],
    PlainValidator(parse_stops),
    WithJsonSchema({"anyOf": [_STOP_SCHEMA, {"type": "array", "maxItems": MAX_STOPS, "items": _STOP_SCHEMA}]}),
]


def parse_biases(value: Any) -> dict[int, float]:
    """Token ids as decimal strings to -100 ... 100; the vocabulary is compared by whoever knows it."""
    if not isinstance(value, dict):
        raise type_error("an object of token ids and numbers is asked for")
    if len(value) > MAX_BIASES:
        raise value_error(f"{len(value)} ids, at most {MAX_BIASES} are taken")
    found: dict[int, float] = {}
    for key, bias in value.items():
        if not _ID.fullmatch(key):
            raise value_error(f"{key[:40]!r} is no token id")
        if type(bias) not in (int, float):
            raise type_error(f"the bias of id {key} is no number")
        if not -100 <= bias <= 100:
            raise value_error(f"the bias of id {key} is {bias}, outside of -100 to 100")
        found[int(key)] = float(bias)
    return found


Biases = Annotated[
    dict[int, float],
    PlainValidator(parse_biases),
    WithJsonSchema(
        {
            "type": "object",
            "maxProperties": MAX_BIASES,
            "propertyNames": {"pattern": "^(0|[1-9][0-9]{0,9})$"},
            "additionalProperties": {"type": "number", "minimum": -100, "maximum": 100},
        }
    ),
]


def parse_content(value: Any) -> str:
    """A string, or text parts joined as they are."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise type_error("a string or a list of text parts is asked for")
    if not 1 <= len(value) <= MAX_PARTS:
        raise value_error(f"{len(value)} parts, 1 to {MAX_PARTS} are taken")
    return "".join(_part(part) for part in value)


def _part(part: Any) -> str:
    if not isinstance(part, dict):
        raise type_error("a part is an object with type and text")
    if part.get("type") != "text":
        raise value_error(f"a part of type {str(part.get('type'))[:40]!r}: only text is understood")
    if not isinstance(part.get("text"), str):
        raise type_error("the text of a part is a string")
    if extra := [name for name, given in part.items() if name not in ("type", "text") and given is not None]:
        raise value_error(f"a part with {extra[0][:40]!r}: only type and text are understood")
    return part["text"]


Content = Annotated[
    str,
    PlainValidator(parse_content),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": MAX_PARTS,
                    "items": {
                        "type": "object",
                        "properties": {"type": {"const": "text"}, "text": {"type": "string"}},
                        "required": ["type", "text"],
                        "additionalProperties": False,
                    },
                },
            ]
        }
    ),
]


def without_nulls(value: Any) -> Any:
    """The object without fields that are null: clients send null for what they leave out."""
    return {key: item for key, item in value.items() if item is not None} if isinstance(value, dict) else value


DropNulls = BeforeValidator(without_nulls)
