"""The report of the benchmarks: one document with a section for each kind of measurement."""

from tools.benchmarks import report


def test_a_section_replaces_only_its_earlier_version(tmp_path):
    file = tmp_path / "RESULTS.md"
    report.write("comparison", "Old numbers.\n", file)
    report.write("footprint", "Memory.\n", file)
    report.write("comparison", "New numbers.\n", file)
    text = file.read_text()
    assert "Old numbers" not in text
    assert text.count("New numbers.") == text.count("Memory.") == 1
    assert text.startswith("# ")


def test_a_table_is_aligned():
    table = report.markdown(("operation", "ratio"), [["ingest", "0.65"]])
    assert table.splitlines() == ["| operation | ratio |", "| --------- | ----: |", "| ingest    |  0.65 |"]
