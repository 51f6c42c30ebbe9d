"""One owner a verb: what only one place of the package may do, each rule proven on a planted breach."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from picochat.artifacts import layout

PACKAGE = Path(__file__).parents[2] / "src" / "picochat"
LONGEST_FILE_LINES = 500
RUN_FILES = {
    name.rpartition("/")[2] for key, name in vars(layout).items() if key.isupper() and isinstance(name, str)
} - {""}
RUN_FILES = {name for name in RUN_FILES if "." in name}
TAGS = "a|b|i|p|body|br|button|code|div|form|h[1-6]|head|html|img|input|li|link|pre|script|span|style|svg"
TAGS += "|table|td|th|tr|ul"


class Rule(NamedTuple):
    """What a pattern finds in code (comments and strings aside) and where it may stand."""

    name: str
    pattern: str
    owners: tuple[str, ...] = ()


CODE_RULES = (
    Rule(
        "torch.distributed",
        r"\btorch\s*\.\s*distributed\b|from torch import .*\bdistributed\b",
        ("distributed/", "training/memory.py"),
    ),
    Rule("backward", r"\.backward\(", ("training/trainer.py",)),
    Rule("environment", r"\bos\.(environ|getenv|putenv)|from os import .*\benviron", ("distributed/env.py", "cli/")),
    Rule("publishing", r"\bos\.(replace|rename|fsync)\b|\bfsync\(|\.rename\(", ("core/",)),
    Rule("tensors on disk", r"\b(import|from) safetensors\b", ("checkpoint/",)),
    Rule("GGUF", r"\bGGUF(Writer|Reader)\b|\b(import|from) gguf\b", ("export/gguf_writer.py",)),
    Rule("print", r"(?<![.\w])print\(", ("cli/",)),
    Rule("pickle", r"\b(c?[pP]ickle|shelve|marshal|dill|joblib)\b|\btorch\.(load|save)\b|\ballow_pickle=True"),
    Rule("code from text", r"(?<![.\w])(eval|exec|compile|__import__)\(|\bshell\s*=\s*True|\bos\.(system|popen)\b"),
    Rule("wall clock", r"\btime\.time\("),
)
STRING_OWNERS = {
    "run file name": ("artifacts/layout.py", "core/publish.py", "tokenizer/tokenizer.py"),
    "markup": ("workbench/templates/", "workbench/static/", "export/templates/"),
}
"""core/publish.py names the parts of any published folder; tokenizer.py names its own file when given a folder."""


def bare_code(source: str) -> Iterator[tuple[int, str]]:
    """(line number, line) with comments and strings taken out."""
    lines: dict[int, list[str]] = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in (tokenize.COMMENT, tokenize.STRING):
            row = lines.setdefault(token.start[0], [])
            gap = " " if row and token.type == tokenize.NAME and row[-1][-1:].isalnum() else ""
            row.append(gap + token.string)
    yield from ((number, "".join(parts)) for number, parts in lines.items())


def spoken_strings(source: str) -> Iterator[tuple[int, str]]:
    """(line number, text) of every string that is no docstring."""
    tree = ast.parse(source)
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.lineno, node.value


def find_breaches(package: Path) -> list[str]:
    """One line a breach: rule, file, line."""
    found = []
    for path in sorted(package.rglob("*.py")):
        name, source = path.relative_to(package).as_posix(), path.read_text(encoding="utf-8")
        if source.count("\n") > LONGEST_FILE_LINES:
            found.append(f"length: {name}:{source.count(chr(10))}")
        for rule in CODE_RULES:
            if not name.startswith(rule.owners or ("\0",)) and re.search(rule.pattern, source):
                found += [f"{rule.name}: {name}:{n}" for n, line in bare_code(source) if re.search(rule.pattern, line)]
        for number, text in spoken_strings(source):
            if text.rpartition("/")[2] in RUN_FILES and not name.startswith(STRING_OWNERS["run file name"]):
                found.append(f"run file name: {name}:{number}")
            if re.search(rf"</?({TAGS})(\s[^<>]*)?/?>", text) and not name.startswith(STRING_OWNERS["markup"]):
                found.append(f"markup: {name}:{number}")
    return found


def test_every_verb_has_its_owner():
    assert find_breaches(PACKAGE) == []


BREACHES = [
    ("torch.distributed", "training/x.py", "import torch.distributed as dist"),
    ("torch.distributed", "stages/x.py", "from torch import distributed"),
    ("backward", "stages/base/x.py", "loss.backward()"),
    ("environment", "core/x.py", "import os\nos.environ['A']"),
    ("environment", "distributed/world.py", "import os\nos.getenv('A')"),
    ("publishing", "stages/x.py", "import os\nos.replace('a', 'b')"),
    ("publishing", "checkpoint/x.py", "stream.fsync()\nos.fsync(3)"),
    ("tensors on disk", "training/x.py", "from safetensors.torch import save_file"),
    ("GGUF", "checkpoint/x.py", "writer = gguf.GGUFWriter(path, 'qwen3')"),
    ("GGUF", "export/huggingface.py", "from gguf import GGUFReader"),
    ("print", "training/x.py", "print('step')"),
    ("pickle", "core/x.py", "import pickle"),
    ("pickle", "inference/x.py", "state = torch.load(path)"),
    ("code from text", "evals/x.py", "eval('1')"),
    ("code from text", "core/x.py", "subprocess.run('ls', shell=True)"),
    ("wall clock", "pipeline/x.py", "import time\ndone = time.time() > 3"),
    ("run file name", "stages/x.py", "path = root / 'corpus.txt'"),
    ("run file name", "judgement/x.py", "path = root / 'base/report.json'"),
    ("markup", "views/x.py", "text = '<table class=\"x\">'"),
    ("length", "core/x.py", "x = 1\n" * (LONGEST_FILE_LINES + 1)),
]


@pytest.mark.parametrize(("rule", "path", "source"), BREACHES, ids=lambda value: str(value)[:24])
def test_a_planted_breach_is_reported(tmp_path: Path, rule: str, path: str, source: str):
    target = tmp_path / path
    target.parent.mkdir(parents=True)
    target.write_text(source + "\n")
    breaches = find_breaches(tmp_path)
    assert [line for line in breaches if line.startswith(f"{rule}: {path}:")], breaches


def test_comments_docstrings_and_owners_are_no_breach(tmp_path: Path):
    for path, source in {
        "core/a.py": '"""Never print( or pickle; see corpus.txt and <table>."""\n# os.environ\nos.replace(a, b)\n',
        "training/trainer.py": "loss.backward()\n",
        "cli/b.py": "print(os.environ)\nmodel.eval()\nconsole.print(1)\n",
        "distributed/c.py": "import torch.distributed\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(source)
    assert find_breaches(tmp_path) == []
