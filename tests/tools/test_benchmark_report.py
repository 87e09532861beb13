"""The benchmarks' RESULTS.md."""

from tools.benchmarks import report


def test_write_replaces_only_its_section(tmp_path):
    file = tmp_path / "RESULTS.md"
    text = "# Results\n<!-- one -->\n{}\n<!-- end of one -->\n<!-- two -->\nOther.\n<!-- end of two -->\n"
    file.write_text(text.format("Old."))
    report.write("one", "New.\n", file)
    assert file.read_text() == text.format("New.")


def test_tables_are_aligned():
    table = report.markdown(("operation", "ratio"), [["ingest", "0.65"]])
    assert table.splitlines() == ["| operation | ratio |", "| --------- | ----: |", "| ingest    |  0.65 |"]
