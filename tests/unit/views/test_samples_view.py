from tests.support.eval_surface import write_rows

from picochat.views.evals.samples import Sample, build_grid, choose_steps, compare, read_samples, shown_samples

NAME = "base/samples.jsonl"


def sample(step, prompt, text, **more):
    return {"step": step, "prompt": prompt, "text": text, "finished": True} | more


def test_a_grid_of_prompts_and_checkpoints(tmp_path):
    rows = [sample(s, p, f"{p} at {s}") for s in (10, 20, 30) for p in ("one", "two") if (s, p) != (20, "two")]
    write_rows(tmp_path, NAME, rows)
    samples = read_samples(tmp_path, NAME)
    grid = build_grid(samples, {Sample(10, "one", "one at 10", True): {"echo": True}})
    assert grid["steps"] == [10, 20, 30] and [row["prompt"] for row in grid["prompts"]] == ["one", "two"]
    first, second, third = grid["prompts"][0]["cells"]
    assert first["parts"] is None and first["faults"] == {"echo": True} and second["faults"] == {}
    assert second["parts"] == [["same", "one at "], ["gone", "10"], ["new", "20"]]
    assert grid["prompts"][1]["cells"][1] is None
    assert grid["prompts"][1]["cells"][2]["parts"][-1] == ["new", "30"], "held against the last one that was asked"


def test_the_parts_of_the_later_text_are_the_later_text():
    found = compare("the cat sat", "a cat sat down")
    assert "".join(text for kind, text in found["parts"] if kind != "gone") == "a cat sat down"
    assert "".join(text for kind, text in found["parts"] if kind != "new") == "the cat sat"
    assert found["changed_frac"] == 2 / 4
    assert compare("same", "same")["changed_frac"] == 0.0
    assert compare("", "")["changed_frac"] == 0.0 and compare("gone", "")["changed_frac"] == 1.0


def test_torn_broken_and_missing_files(tmp_path):
    assert read_samples(tmp_path, NAME).state == "missing"
    assert build_grid(read_samples(tmp_path, NAME), {})["prompts"] == []
    tail = b'{"step": 1}\nnot json\n{"step": true, "text": "x"}\n{"step": 2, "prompt": "p", "te'
    write_rows(tmp_path, NAME, [sample(1, None, "hello")], tail)
    found = read_samples(tmp_path, NAME)
    assert [row.text for row in found.rows] == ["hello"] and found.skipped == 3 and found.rows[0].prompt == ""


def test_many_checkpoints_are_thinned_and_counted(tmp_path):
    write_rows(tmp_path, NAME, [sample(step, "p", str(step)) for step in range(1000)])
    found = read_samples(tmp_path, NAME)
    grid = build_grid(found, {})
    assert len(grid["steps"]) == 24 and (grid["steps"][0], grid["steps"][-1]) == (0, 999) and grid["all_steps"] == 1000
    assert [row.step for row in shown_samples(found)] == grid["steps"]
    assert choose_steps([3, 1, 2, 1], 24) == [1, 2, 3]


def test_text_of_a_model_is_shown_as_text(tmp_path):
    write_rows(tmp_path, NAME, [sample(1, "p", "a"), sample(2, "p", "a \x1b[31m\u202e")])
    cell = build_grid(read_samples(tmp_path, NAME), {})["prompts"][0]["cells"][1]
    assert cell["text"] == r"a \x1b[31m\u202e" and "\x1b" not in str(cell["parts"])
