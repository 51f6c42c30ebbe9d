import platform

from picochat.data import builtin

SOURCE = '''"""Module text."""
import never_there
if never_there.flag:
    class Outer:
        """Class text."""
        async def go(self):
            """Method text."""
            try:
                def inner():
                    "Inner text."
            except ValueError:
                def handler(): "Handler text."
        x = "not a docstring"
def bare(): pass
raise SystemExit
'''


def make_library(root):
    (root / "pkg").mkdir(parents=True)
    (root / "pkg" / "mod.py").write_text(SOURCE)
    for folder in builtin.LEFT_OUT:
        (root / "pkg" / folder).mkdir()
        (root / "pkg" / folder / "x.py").write_text('"""Left out."""')
    (root / "a.py").write_text("this is not python (")
    (root / "b.py").write_text('"a \\d invalid escape warns"')
    (root / "pydoc_data").mkdir()
    (root / "pydoc_data" / "topics.py").write_text(
        "topics = {'if': 'The if statement', 'for': 'The for ' 'statement'}\n"
    )


def test_docstrings_come_from_syntax_trees_in_order(tmp_path):
    make_library(tmp_path)
    assert list(builtin.iter_docstrings(tmp_path)) == [
        ("b.py:", "a \\d invalid escape warns"),
        ("pkg/mod.py:", "Module text."),
        ("pkg/mod.py:Outer", "Class text."),
        ("pkg/mod.py:Outer.go", "Method text."),
        ("pkg/mod.py:Outer.go.inner", "Inner text."),
        ("pkg/mod.py:Outer.go.handler", "Handler text."),
    ]


def test_topics_are_read_without_running_the_file(tmp_path):
    make_library(tmp_path)
    assert list(builtin.iter_topics(tmp_path)) == [
        ("topics:if", "The if statement"),
        ("topics:for", "The for statement"),
    ]


def test_a_library_without_topics_has_none(tmp_path):
    assert list(builtin.iter_topics(tmp_path)) == []


def test_the_running_interpreter_has_its_topics():
    topics = list(builtin.iter_builtin(builtin.TOPICS))
    assert len(topics) >= 70
    assert len({name for name, _ in topics}) == len(topics)
    assert sum(len(text) for _, text in topics) > 300_000


def test_the_revision_is_the_full_version():
    assert builtin.library_revision().endswith(platform.python_version())
