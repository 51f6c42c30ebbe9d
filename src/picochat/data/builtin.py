"""The built-in text: the documentation that ships inside every Python, one topic or docstring a document.

Everything is read with `ast` from the source files of the running interpreter's library. No module is imported for it,
because imports run code. Figures of two Python versions are not comparable: the revision is the full version.
"""

from __future__ import annotations

import ast
import platform
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path

TOPICS = "builtin:topics"
DOCSTRINGS = "builtin:docstrings"
BUILTIN_PATHS = (TOPICS, DOCSTRINGS)
LICENCE = "PSF-2.0"
LEFT_OUT = frozenset({"test", "tests", "idlelib", "lib2to3", "site-packages"})
"""Folder names, at any depth of the library, that hold no documentation for readers."""

_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def library_revision() -> str:
    """`CPython 3.11.7`: the implementation and full version of the running interpreter."""
    return f"{platform.python_implementation()} {platform.python_version()}"


def iter_builtin(path: str) -> Iterator[tuple[str, str]]:
    """Yields (name, text) of every document of `builtin:topics` or `builtin:docstrings`, always in one order."""
    library = Path(sysconfig.get_path("stdlib"))
    return iter_topics(library) if path == TOPICS else iter_docstrings(library)


def iter_topics(library: Path) -> Iterator[tuple[str, str]]:
    """The reference topics of `pydoc_data`: a dict of strings, read without running it."""
    file = library / "pydoc_data" / "topics.py"
    if not file.is_file():
        return
    for node in ast.walk(_parse(file)):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield f"topics:{key.value}", value.value


def iter_docstrings(library: Path) -> Iterator[tuple[str, str]]:
    """The docstrings of modules, classes and functions, file by file, in the order of the source."""
    for file in sorted(library.rglob("*.py")):
        relative = file.relative_to(library)
        if LEFT_OUT.isdisjoint(relative.parts) and file.is_file():
            yield from _iter_below(_parse(file), relative.as_posix() + ":")


def _iter_below(node: ast.AST, name: str) -> Iterator[tuple[str, str]]:
    """A definition and what is defined inside it. Only statements are visited: no expression holds a docstring."""
    if isinstance(node, _DOCUMENTED):
        name = name if isinstance(node, ast.Module) else f"{name}.{node.name}".replace(":.", ":")
        text = ast.get_docstring(node)
        if text:
            yield name, text
    for block in _BLOCKS:
        for child in getattr(node, block, ()):
            yield from _iter_below(child, name)


def _parse(file: Path) -> ast.Module:
    """The syntax tree of a library file; a file that is not Python of this version counts as empty."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(file.read_bytes())
        except (SyntaxError, ValueError, OSError):
            return ast.Module(body=[], type_ignores=[])
