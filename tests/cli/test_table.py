"""Tables on terminals of any width: no line is longer, and no cell is lost without a sign."""

import pytest

from booper.cli.table import cell_width, pairs, table

HEADS = ("id", "state", "scheduled at", "name", "what", "error")
FLEXIBLE = ("name", "what", "error")
AT = "2030-01-01 12:00:00Z"
ROWS = [
    ("1", "scheduled", AT, "", "GET https://example.com/", ""),
    ("22", "discarded", AT, "日本語の名前" * 8, f"POST https://example.com/{'a' * 300}", "e" * 200),
    (
        "333",
        "retryable",
        AT,
        "e\u0301" * 40,
        "GET https://a.example/",
        "two\nlines \x1b[31m \u202e",
    ),
]


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("", 0),
        ("abc", 3),
        ("é", 1),
        ("e\u0301", 1),
        ("日本", 4),
        ("\uff21", 2),
        ("\U0001f600", 2),
        ("ก็", 1),
    ],
)
def test_a_text_has_the_columns_that_a_terminal_gives_it(text: str, columns: int) -> None:
    """Wide and full-width characters have two (UAX #11), combining ones none."""
    assert cell_width(text) == columns


@pytest.mark.parametrize("width", [*range(20, 100, 7), 40, 80, 200, 1000])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """Neither of a table nor of the lists that it becomes where it cannot be one."""
    lines = table(HEADS, ROWS, FLEXIBLE, width)
    assert max(map(cell_width, lines)) <= width
    assert all(line.isprintable() for line in lines)


def test_without_a_terminal_nothing_is_cut() -> None:
    """What reads a pipe has no width."""
    lines = table(HEADS, ROWS, FLEXIBLE, None)
    assert len(lines) == 1 + len(ROWS)
    assert ROWS[1][4] in lines[2]
    assert r"two\nlines \x1b[31m \u202e" in lines[3]


def test_columns_stand_below_one_another() -> None:
    """Whatever the width of the characters before them."""
    for width in (120, 200, None):
        lines = table(HEADS, ROWS, FLEXIBLE, width)
        begins = {
            cell_width(line[: line.index(word)])
            for line, word in zip(lines, ("what", "GET", "POST", "GET"), strict=True)
        }
        assert len(begins) == 1


def test_a_cut_cell_says_so() -> None:
    """By a sign of one column."""
    lines = table(HEADS, ROWS, FLEXIBLE, 120)
    assert "…" in lines[2]
    assert "…" not in lines[1]


def test_where_a_table_has_no_room_each_row_is_a_list() -> None:
    """Nothing is cut there: an id of 36 characters is wrapped, if it must be."""
    lines = table(("id", "what"), [("0" * 36, "GET https://example.com/")], (), 30)
    cells = "".join(line[6:].strip() for line in lines)
    assert cells == "0" * 36 + "GET https://example.com/"
    assert [line[:6].strip() for line in lines] == ["id", "", "what"]


def test_a_column_without_a_cell_is_left_out() -> None:
    """Most jobs have no name, and no error."""
    lines = table(HEADS, ROWS[:1], FLEXIBLE, 80)
    assert lines[0].split() == ["id", "state", "scheduled", "at", "what"]
    assert table(HEADS, [], FLEXIBLE, 80)[0].split()[-1] == "error"


def test_values_of_several_lines_stand_below_one_another() -> None:
    """As headers and a body do."""
    lines = pairs([("at", "noon"), ("received", "200\na: b\n\x1b")], None, "  ")
    assert lines == [
        "  at        noon",
        "  received  200",
        "            a: b",
        r"            \x1b",
    ]
