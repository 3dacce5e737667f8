"""The lines of a crontab, by crontab(5) of Debian's cron and of cronie."""

import pytest

from booper.model.crontab import MAX_NAME, Crontab, Entry, read_crontab


def read(*lines: str, has_users: bool = False) -> Crontab:
    """Return a crontab of these lines."""
    return read_crontab("".join(f"{line}\n" for line in lines), has_users=has_users)


def one(*lines: str, has_users: bool = False) -> Entry:
    """Return the only command of a crontab in which all is right."""
    found = read(*lines, has_users=has_users)
    assert found.faults == ()
    (entry,) = found.entries
    return entry


# line -> cron, command, input
COMMANDS = {
    "0 3 * * * backup": ("0 3 * * *", "backup", None),
    "  0\t3  * * *\tbackup  --all ": ("0 3 * * *", "backup  --all", None),
    "@daily backup": ("@daily", "backup", None),
    "30 6 * jan-mar mon-fri run": ("30 6 * jan-mar mon-fri", "run", None),
    "0 9 1,15 * fri either": ("0 9 1,15 * fri", "either", None),
    "*/5 * * * * a # no comment here": ("*/5 * * * *", "a # no comment here", None),
    r"0 0 * * * date +\%F": ("0 0 * * *", "date +%F", None),
    "0 0 * * * mail me%Dear you,%%bye": ("0 0 * * *", "mail me", "Dear you,\n\nbye"),
    r"0 0 * * * mail me%100\% sure": ("0 0 * * *", "mail me", "100% sure"),
    "0 0 * * * a%": ("0 0 * * *", "a", ""),
    "0 0 * * * a b=c": ("0 0 * * *", "a b=c", None),
    "0 0 * * * backup\r": ("0 0 * * *", "backup", None),
}


@pytest.mark.parametrize("line", COMMANDS)
def test_a_line_is_read_as_cron_reads_it(line: str) -> None:
    """Its times, its command with a plain `%` for each escaped one, and what that gets as input."""
    entry = one(line)
    assert (entry.cron, entry.command, entry.input) == COMMANDS[line]
    assert (entry.user, entry.timezone) == (None, None)


@pytest.mark.parametrize(
    ("line", "cron", "user", "command"),
    [
        ("17 * * * * root cd / && run-parts x", "17 * * * *", "root", "cd / && run-parts x"),
        ("@weekly\twww-data\tclean", "@weekly", "www-data", "clean"),
    ],
)
def test_a_system_crontab_names_a_user(line: str, cron: str, user: str, command: str) -> None:
    """Between the times and the command."""
    entry = one(line, has_users=True)
    assert (entry.cron, entry.user, entry.command) == (cron, user, command)


# line -> what is said of it
WRONG = {
    "61 * * * * a": "cron minute '61': 61 is not in 0 to 59",
    "@reboot a": "'@reboot' is not supported: a schedule has no start-up",
    "@dayly a": "did you mean '@daily'?",
    "1-0 * * * * a": "the range is reversed, write '1-59,0-0' to wrap around",
    "0 0 30 2 * a": "never comes in month '2'",
    "0 0 * * *": "there is no command behind the five fields",
    "@daily": "there is no command behind @daily",
    "@daily %input": "there is no command behind @daily",
    "0 0 * *": "expected five fields of time and a command",
    "backup": "expected five fields of time and a command",
}


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_line_is_named_with_what_would_be_right(line: str) -> None:
    """By its number; the lines around it are read."""
    found = read("@daily a", line, "@daily b")
    assert [entry.command for entry in found.entries] == ["a", "b"]
    (fault,) = found.faults
    assert fault.line == 2
    assert WRONG[line] in fault.detail


def test_a_system_line_without_a_command_is_wrong() -> None:
    """So is a line of a user's crontab that is read as a system crontab."""
    (fault,) = read("0 3 * * * backup", has_users=True).faults
    assert fault.detail == "there is no command behind the user 'backup'"


# lines before the command -> its zone
ZONES = {
    (): None,
    ("CRON_TZ=Europe/Berlin",): "Europe/Berlin",
    ("TZ=Europe/Berlin",): "Europe/Berlin",
    ("TZ=:Europe/Berlin",): "Europe/Berlin",
    ("CRON_TZ = 'Asia/Kolkata'",): "Asia/Kolkata",
    ('"CRON_TZ"="Asia/Kolkata"',): "Asia/Kolkata",
    ("CRON_TZ=Asia/Kolkata", "TZ=Europe/Berlin"): "Asia/Kolkata",
    ("TZ=Europe/Berlin", "TZ=Asia/Kolkata"): "Asia/Kolkata",
    ("TZ=Europe/Berlin", "TZ="): None,
    ("TZ=Mars/Base", "TZ=UTC"): "UTC",
}


@pytest.mark.parametrize("lines", ZONES)
def test_a_zone_holds_for_the_lines_below_it(lines: tuple[str, ...]) -> None:
    """Until another is named; CRON_TZ counts more than TZ."""
    found = read("@daily before", *lines, "@daily after")
    assert [entry.timezone for entry in found.entries] == [None, ZONES[lines]]


def test_no_line_gets_another_zone_than_its_own() -> None:
    """A zone that is not known is a fault, and so is each line that it holds for."""
    found = read("@daily a", "TZ=Mars/Base", "@daily b", "TZ=UTC", "@daily c")
    assert [(entry.command, entry.timezone) for entry in found.entries] == [
        ("a", None),
        ("c", "UTC"),
    ]
    assert [fault.line for fault in found.faults] == [2, 3]
    assert found.faults[1].detail == "its time zone is unknown (see line 2)"


def test_other_settings_are_left_out_and_named() -> None:
    """A request has no environment and sends no mail."""
    found = read("MAILTO=me@example.com", 'PATH="/bin"', "@daily a")
    assert [(each.line, each.detail.split(":")[0]) for each in found.left_out] == [
        (1, "MAILTO"),
        (2, "PATH"),
    ]


# lines before `@daily run` -> its name
NAMES = {
    (): "run",
    ("# Nightly backup",): "Nightly backup",
    ("### Nightly backup ###",): "Nightly backup",
    ("# older", "# Nightly backup"): "Nightly backup",
    ("# not for it", ""): "run",
    ("# not for it", "TZ=UTC"): "run",
    ("# 0 3 * * * put out of use",): "run",
    ("# MAILTO=me",): "run",
    ("#",): "run",
    ("# m h  dom mon dow   command",): "run",
    ("# " + "n" * 300,): "n" * MAX_NAME,
}


@pytest.mark.parametrize("lines", NAMES)
def test_a_comment_right_above_a_line_names_it(lines: tuple[str, ...]) -> None:
    """Else its command does; a line put out of use and the heads of columns are no names."""
    assert one(*lines, "@daily run").name == NAMES[lines]


def test_only_a_line_feed_ends_a_line() -> None:
    """As for cron, which knows no other separators."""
    assert one("@daily a\x0bb\u2028c").command == "a\x0bb\u2028c"


def test_an_empty_crontab_has_no_lines() -> None:
    """Blank lines and comments are none."""
    assert read("", "# nothing", "   ") == Crontab((), (), ())
