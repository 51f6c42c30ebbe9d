"""The process in which a chat template of somebody else runs: no file to write, no time to waste, little memory.

Started by path, so that it needs jinja2 alone. Lines of JSON in, lines of JSON out:

    {"template": text}                                                      no answer
    {"conversations": [...], "variables": {...}, "now": iso, "prompt": bool}    {"texts": [text or {"error": ...}, ...]}
"""

from __future__ import annotations

import datetime
import json
import math
import resource
import sys
from typing import Any

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.sandbox
import jinja2.utils

MEMORY_BYTES = 1 << 29
TEXT_CHARS = 1 << 23
CPU_S = 2
SAFE_JINJA = (3, 1, 6)
"""Older ones let a template out of the sandbox."""


class Generation(jinja2.ext.Extension):
    """`{% generation %}` marks what an assistant said, for trainings; here its inside is rendered as it stands."""

    tags = {"generation"}

    def parse(self, parser: Any) -> Any:
        line = next(parser.stream).lineno
        return jinja2.nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)


class Namespace(jinja2.utils.Namespace):
    """`namespace()` without names that lead into Python."""

    def __init__(self, *pairs: Any, **values: Any) -> None:
        found = dict(*pairs, **values)
        for name in found:
            require_open_name(name)
        super().__init__(found)

    def __setitem__(self, name: str, value: Any) -> None:
        require_open_name(name)
        super().__setitem__(name, value)


def require_open_name(name: Any) -> None:
    if str(name).startswith("_"):
        raise jinja2.exceptions.SecurityError(f"{name} cannot be set")


def raise_exception(message: str) -> None:
    raise jinja2.exceptions.TemplateError(message)


def to_json(
    value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
):
    """Plain JSON; jinja2's own filter escapes it for web pages."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def build_environment() -> Any:
    """The sandbox with what chat templates are promised: blocks without their line ends, loop controls, helpers."""
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols], cache_size=0
    )
    environment.filters["tojson"] = to_json
    environment.globals |= {"raise_exception": raise_exception, "namespace": Namespace}
    return environment


def render(template: Any, messages: list[dict[str, str]], question: dict[str, Any]) -> str:
    """One conversation. Raises MemoryError past TEXT_CHARS."""
    moment = datetime.datetime.fromisoformat(question["now"])
    known = question["variables"] | {"tools": None, "documents": None, "add_generation_prompt": question["prompt"]}
    pieces, size = [], 0
    for piece in template.generate(messages=messages, strftime_now=moment.strftime, **known):
        size += len(piece)
        if size > TEXT_CHARS:
            raise MemoryError(f"more than {TEXT_CHARS:,} characters")
        pieces.append(piece)
    return "".join(pieces)


def answer(template: Any, question: dict[str, Any]) -> dict[str, Any]:
    texts: list[Any] = []
    for messages in question["conversations"]:
        try:
            texts.append(render(template, messages, question))
        except Exception as err:  # whatever a template does, the answer is one line
            texts.append({"error": f"{type(err).__name__}: {err}"[:500]})
    return {"texts": texts}


def limit_time() -> None:
    """A few seconds of processor time from now on; past them the kernel ends this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(
        resource.RLIMIT_CPU, (math.ceil(usage.ru_utime + usage.ru_stime) + CPU_S, resource.RLIM_INFINITY)
    )


def main() -> None:
    version = tuple(int(part) for part in jinja2.__version__.split(".")[:3] if part.isdigit())
    environment = build_environment()
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    template, problem = None, "" if version >= SAFE_JINJA else f"jinja2 {jinja2.__version__} is older than 3.1.6"
    for line in sys.stdin:
        limit_time()
        question = json.loads(line)
        if "template" in question:
            try:
                template = environment.from_string(question["template"])
            except Exception as err:  # a template that cannot be read answers every question in one way
                problem = problem or f"{type(err).__name__}: {err}"[:500]
            continue
        texts = [{"error": problem}] * len(question["conversations"])
        found = {"texts": texts} if problem or template is None else answer(template, question)
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
