"""The table of formats and loaders, printed when all is run."""

import pytest

TABLE = pytest.StashKey[list]()
HEAD = (
    *("format", "loader", "images", "scaled by it", "captions", "masks", "times an epoch"),
    "traps",
)


def pytest_configure(config):
    """An empty table."""
    config.stash.setdefault(TABLE, [])


def pytest_terminal_summary(terminalreporter, config):
    """The table in Markdown, as docs/packages.md has it; nothing if no loader was run."""
    rows = [HEAD, *config.stash.get(TABLE, [])]
    if len(rows) == 1:
        return
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, tuple("-" * width for width in widths))
    terminalreporter.section("what the trainers' loaders made of the packages")
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        terminalreporter.write_line(f"| {' | '.join(cells)} |")
