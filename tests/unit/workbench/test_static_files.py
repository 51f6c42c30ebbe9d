"""What a browser is sent: small, whole, preloaded in one go, free of what the page's policy forbids."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from picochat.workbench.site import StaticFile, load_site, without_comments

ROOT = Path(__file__).parents[3]
WORKBENCH = ROOT / "src" / "picochat" / "workbench"
STATIC = WORKBENCH / "static"
INDEX = (WORKBENCH / "templates" / "index.html").read_text()
SENT = (".js", ".css", ".svg")
ALL_KB, VENDORED_KB, FIRST_REQUESTS = 200, 40, 60
LONGEST_MODULE, LONGEST_STYLESHEET = 300, 400
IMPORT = re.compile(r"""\b(?:from|import)\s*["'](\.[^"']+)["']""")
OWN_MODULES = sorted((STATIC / "js").rglob("*.js"))


def packed_kb(files: dict[str, StaticFile]) -> float:
    return sum(len(file.packed or file.data) for path, file in files.items() if path.endswith(SENT)) / 1000


def closure(start: Path) -> set[Path]:
    """The module and all that it imports when it is loaded."""
    found, todo = set(), [start]
    while todo:
        path = todo.pop()
        if path not in found:
            found.add(path)
            todo += [(path.parent / name).resolve() for name in IMPORT.findall(path.read_text())]
    return found


def first_page_modules() -> set[Path]:
    return closure(STATIC / "js" / "app.js") | closure(STATIC / "js" / "pages" / "runs.js")


def test_all_files_together_stay_small():
    files = load_site().files
    assert packed_kb(files) <= ALL_KB
    assert packed_kb({path: file for path, file in files.items() if path.startswith("vendor/")}) <= VENDORED_KB


def test_the_first_page_preloads_its_modules_and_no_other():
    named = {
        (STATIC / name).resolve() for name in re.findall(r'rel="modulepreload" href="\{\{static\}\}/([^"]+)"', INDEX)
    }
    assert named | {STATIC / "js" / "app.js"} == first_page_modules()


def test_the_first_page_takes_few_requests():
    styles = re.findall(r'rel="stylesheet" href="\{\{static\}\}/([^"]+)"', INDEX)
    assert all((STATIC / name).is_file() for name in styles)
    document_icon_and_answers = 6
    assert len(first_page_modules()) + len(styles) + document_icon_and_answers <= FIRST_REQUESTS


def test_every_stylesheet_is_linked():
    styles = re.findall(r'rel="stylesheet" href="\{\{static\}\}/([^"]+)"', INDEX)
    assert sorted(styles) == sorted(path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*.css"))


@pytest.mark.parametrize("path", OWN_MODULES, ids=lambda path: path.name)
def test_a_module_imports_what_is_there(path: Path):
    for name in IMPORT.findall(path.read_text()):
        assert (path.parent / name).is_file(), f"{path.name} imports {name}"
    if path.name not in ("html.js", "chart_plot.js"):
        assert "/vendor/" not in path.read_text(), "vendored modules are reached through html.js and chart_plot.js"


@pytest.mark.parametrize("path", [*OWN_MODULES, *sorted((STATIC / "css").glob("*.css"))], ids=lambda path: path.name)
def test_a_file_is_short_enough_to_read(path: Path):
    limit = LONGEST_MODULE if path.suffix == ".js" else LONGEST_STYLESHEET
    assert len(path.read_text().splitlines()) <= limit


def test_the_page_has_no_script_and_no_style_of_its_own():
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", INDEX) == []
    assert re.findall(r'(?:src|href)="(?!\{\{static\}\}/)', INDEX) == []


def test_without_script_the_page_names_the_commands():
    text = INDEX[INDEX.index("<noscript>") :]
    assert all(words in text for words in ("picochat runs", "picochat status", "picochat gate", "report.html"))


def test_every_page_of_the_table_is_there():
    named = re.findall(r'import\("(\./pages/[^"]+)"\)', (STATIC / "js" / "app.js").read_text())
    assert len(named) == 12
    assert [name for name in named if not (STATIC / "js" / name).is_file()] == []


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("// one\nlet a; // two\n", "\nlet a; // two\n"),
        ("/**\n * Says.\n */\nlet a;\n", "\n\n\nlet a;\n"),
        ("/* a */ let b;\n  /* c */\nlet d;\n", "/* a */ let b;\n\nlet d;\n"),
        ("let a = 1\n  / 2;\n", "let a = 1\n  / 2;\n"),
        ("let u = `\nhttp://x\n`;\n", "let u = `\nhttp://x\n`;\n"),
    ],
)
def test_comments_stay_here_and_every_line_keeps_its_number(text: str, sent: str):
    assert without_comments("js/a.js", text.encode()) == sent.encode()
    assert without_comments("vendor/a.js", text.encode()) == text.encode()


def test_no_template_has_a_line_that_looks_like_a_comment():
    """The one place where a comment would be text."""
    for path in OWN_MODULES:
        for template in re.findall(r"`(?:[^`\\]|\\.)*`", without_comments("", path.read_bytes()).decode(), re.DOTALL):
            assert not re.search(r"^\s*(//|/\*)", template, re.MULTILINE), f"{path.name}: {template[:80]}"
