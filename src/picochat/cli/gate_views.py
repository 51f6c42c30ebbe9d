"""What `picochat gate` shows without writing anything: one check explained, or two runs side by side."""

from __future__ import annotations

from picochat.artifacts.store import RunStore
from picochat.cli.console import build_console, print_json
from picochat.cli.dataset_tables import show_tables
from picochat.cli.waiving import require_check
from picochat.core.clock import utc_today
from picochat.core.errors import refuse
from picochat.judgement.evidence import RunEvidence
from picochat.judgement.explain import explain_check
from picochat.judgement.gates import compare_gates
from picochat.views.gate.explain import explain_lines, explain_tables
from picochat.views.gate.gates import gates_notes, gates_table


def show_explanation(store: RunStore, profile: str, check: str, *, as_json: bool) -> None:
    """Raises `gate.check` for an unknown id."""
    found = explain_check(RunEvidence(store), profile, require_check(check), utc_today())
    if as_json:
        print_json(found)
        return
    console = build_console()
    for line in explain_lines(found):
        console.print(line, markup=False)
    for table in explain_tables(found):
        console.print()
        show_tables([table])


def show_comparison(first: RunStore, second: RunStore, profile: str, *, as_json: bool) -> None:
    """Raises `compare.runs` for one run given twice, and after all is shown `compare.questions` for other eval rows."""
    if first.root.resolve() == second.root.resolve():
        refuse("compare.runs", f"{first.root} is both", fix="picochat gate RUN --against ANOTHER_RUN")
    found = compare_gates(first, second, profile, utc_today())
    if as_json:
        print_json(found)
    else:
        show_tables([gates_table(found)])
        for note in gates_notes(found):
            build_console().print(f"note     {note}", markup=False)
    if "eval" in found["other_rows"]:
        one, other = ((digest or "missing")[:12] for digest in found["other_rows"]["eval"])
        refuse("compare.questions", f"the rates of eval are not ranked: one run was asked {one}, the other {other}")
