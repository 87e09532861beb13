"""tools/benchmarks/report.py: each kind of measurement has its own part in one document."""

from tools.benchmarks import report


def test_a_part_takes_the_place_of_its_earlier_self_alone(tmp_path):
    file = tmp_path / "RESULTS.md"
    report.write("comparison", "Old numbers.\n", file)
    report.write("footprint", "Memory.\n", file)
    report.write("comparison", "New numbers.\n", file)
    text = file.read_text()
    assert "Old numbers" not in text
    assert text.count("New numbers.") == text.count("Memory.") == 1
    assert text.startswith("# ")


def test_a_table_can_be_read_as_it_is():
    table = report.markdown(("operation", "ratio"), [["ingest", "0.65"]])
    assert table.splitlines() == ["| operation | ratio |", "| --------- | ----: |", "| ingest    |  0.65 |"]
