"""The table of cron expressions, worked out by hand, and of those that are refused.

Weekdays used below: 1 January 2026 is a Thursday, so 4 January is a Sunday, 1 February and 1 March
2026 are Sundays. All times are UTC; `after` and the expected times lack the zone to stay readable.
"""

from datetime import UTC, datetime
from itertools import pairwise

import pytest

from booper.model.cron import InvalidCron
from booper.model.recurrence import Cron

NY = "America/New_York"  # EST -5, EDT -4; 8 March 2026 02:00 -> 03:00, 1 November 02:00 -> 01:00
BERLIN = "Europe/Berlin"  # CET +1, CEST +2; 29 March 2026 02:00 -> 03:00, 25 October 03:00 -> 02:00
LORD_HOWE = (
    "Australia/Lord_Howe"  # +10:30, +11; 5 April 2026 02:00 -> 01:30, 4 October 02:00 -> 02:30
)
SAO_PAULO = (
    "America/Sao_Paulo"  # -3, -2; 4 November 2018 00:00 -> 01:00, 18 February 00:00 -> 23:00
)
ST_JOHNS = "America/St_Johns"  # -3:30, -2:30; 7 November 2010 00:01 -> 23:01 on the 6th

Row = tuple[str, str, str, list[str]]

FIELDS: list[Row] = [
    # Every minute; strictly after; seconds round up.
    ("* * * * *", "UTC", "2026-01-01T00:00", ["2026-01-01T00:01", "2026-01-01T00:02"]),
    ("* * * * *", "UTC", "2026-01-01T00:00:30", ["2026-01-01T00:01"]),
    ("* * * * *", "UTC", "2026-12-31T23:59", ["2027-01-01T00:00"]),
    ("5 * * * *", "UTC", "2026-01-01T00:05", ["2026-01-01T01:05", "2026-01-01T02:05"]),
    ("5 * * * *", "UTC", "2026-01-01T00:04:59.999999", ["2026-01-01T00:05"]),
    ("5 * * * *", "UTC", "2026-01-01T00:05:00.000001", ["2026-01-01T01:05"]),
    ("0 9 * * *", "UTC", "2026-01-01T08:59", ["2026-01-01T09:00", "2026-01-02T09:00"]),
    ("0 9 * * *", "UTC", "2026-12-31T09:00", ["2027-01-01T09:00"]),
    ("05 09 * * *", "UTC", "2026-01-01T00:00", ["2026-01-01T09:05"]),
    ("30 23 31 12 *", "UTC", "2026-01-01T00:00", ["2026-12-31T23:30", "2027-12-31T23:30"]),
    ("\t0  9\t* * * ", "UTC", "2026-01-01T00:00", ["2026-01-01T09:00"]),
    # Lists, in any order.
    (
        "0,15,30 * * * *",
        "UTC",
        "2026-01-01T00:20",
        ["2026-01-01T00:30", "2026-01-01T01:00", "2026-01-01T01:15"],
    ),
    ("30,0 12 * * *", "UTC", "2026-01-01T00:00", ["2026-01-01T12:00", "2026-01-01T12:30"]),
    ("7,7 12 * * *", "UTC", "2026-01-01T00:00", ["2026-01-01T12:07", "2026-01-02T12:07"]),
    # Ranges; equal ends mean that one value.
    (
        "0 9-11 * * *",
        "UTC",
        "2026-01-01T09:30",
        ["2026-01-01T10:00", "2026-01-01T11:00", "2026-01-02T09:00"],
    ),
    ("39 1-1 * * *", "UTC", "2026-01-01T00:00", ["2026-01-01T01:39", "2026-01-02T01:39"]),
    ("0 0 5-5 * *", "UTC", "2026-01-01T00:00", ["2026-01-05T00:00", "2026-02-05T00:00"]),
    ("0 0 1 3-3 *", "UTC", "2026-01-01T00:00", ["2026-03-01T00:00", "2027-03-01T00:00"]),
    # Steps begin anew with each hour, day, month or year.
    ("*/15 * * * *", "UTC", "2026-01-01T00:31", ["2026-01-01T00:45", "2026-01-01T01:00"]),
    (
        "*/25 * * * *",
        "UTC",
        "2026-01-01T00:00",
        ["2026-01-01T00:25", "2026-01-01T00:50", "2026-01-01T01:00"],
    ),
    ("*/60 * * * *", "UTC", "2026-01-01T00:00", ["2026-01-01T01:00", "2026-01-01T02:00"]),
    (
        "10-50/20 * * * *",
        "UTC",
        "2026-01-01T00:00",
        ["2026-01-01T00:10", "2026-01-01T00:30", "2026-01-01T00:50", "2026-01-01T01:10"],
    ),
    (
        "0 1-9/4 * * *",
        "UTC",
        "2026-01-01T00:00",
        ["2026-01-01T01:00", "2026-01-01T05:00", "2026-01-01T09:00", "2026-01-02T01:00"],
    ),
    ("0 8-8/3 * * *", "UTC", "2026-01-01T00:00", ["2026-01-01T08:00", "2026-01-02T08:00"]),
    ("0 */7 * * *", "UTC", "2026-01-01T14:00", ["2026-01-01T21:00", "2026-01-02T00:00"]),
    (
        "0 0 */10 * *",  # 1, 11, 21, 31
        "UTC",
        "2026-01-21T00:00",
        ["2026-01-31T00:00", "2026-02-01T00:00", "2026-02-11T00:00"],
    ),
    (
        "0 0 1 */5 *",  # January, June, November
        "UTC",
        "2026-01-01T00:00",
        ["2026-06-01T00:00", "2026-11-01T00:00", "2027-01-01T00:00"],
    ),
    (
        "1-2,10-12/2,30 0 * * *",
        "UTC",
        "2026-01-01T00:01",
        ["2026-01-01T00:02", "2026-01-01T00:10", "2026-01-01T00:12", "2026-01-01T00:30"],
    ),
    # Names, in any case, in lists and ranges.
    ("0 0 1 JAN,Jul *", "UTC", "2026-01-01T00:00", ["2026-07-01T00:00", "2027-01-01T00:00"]),
    (
        "0 0 1 mar-may *",
        "UTC",
        "2026-03-01T00:00",
        ["2026-04-01T00:00", "2026-05-01T00:00", "2027-03-01T00:00"],
    ),
    ("0 10 * * MON", "UTC", "2026-01-01T00:00", ["2026-01-05T10:00", "2026-01-12T10:00"]),
    (
        "0 10 * * MON,WED,FRI",
        "UTC",
        "2026-01-01T00:00",
        ["2026-01-02T10:00", "2026-01-05T10:00", "2026-01-07T10:00"],
    ),
    ("0 9 * * 1-5", "UTC", "2026-01-02T09:00", ["2026-01-05T09:00"]),  # Friday to Monday
    ("0 9 * * mon-FRI", "UTC", "2026-01-02T09:00", ["2026-01-05T09:00"]),
    # Sunday is 0 and 7, begins a range and ends one.
    ("0 0 * * 0", "UTC", "2026-01-01T00:00", ["2026-01-04T00:00", "2026-01-11T00:00"]),
    ("0 0 * * 7", "UTC", "2026-01-01T00:00", ["2026-01-04T00:00", "2026-01-11T00:00"]),
    ("0 0 * * sun", "UTC", "2026-01-01T00:00", ["2026-01-04T00:00", "2026-01-11T00:00"]),
    ("0 0 * * SUN-SUN", "UTC", "2026-01-01T00:00", ["2026-01-04T00:00", "2026-01-11T00:00"]),
    (
        "0 0 * * 5-7",
        "UTC",
        "2026-01-01T00:00",
        ["2026-01-02T00:00", "2026-01-03T00:00", "2026-01-04T00:00", "2026-01-09T00:00"],
    ),
    (
        "0 0 * * FRI-SUN",
        "UTC",
        "2026-01-01T00:00",
        ["2026-01-02T00:00", "2026-01-03T00:00", "2026-01-04T00:00", "2026-01-09T00:00"],
    ),
    (
        "0 0 * * SUN-TUE",
        "UTC",
        "2026-01-01T00:00",
        ["2026-01-04T00:00", "2026-01-05T00:00", "2026-01-06T00:00", "2026-01-11T00:00"],
    ),
    ("0 0 * * 0-7", "UTC", "2026-01-01T00:00", ["2026-01-02T00:00", "2026-01-03T00:00"]),
    (
        "0 0 * * 1-7/2",  # Monday, Wednesday, Friday, Sunday
        "UTC",
        "2026-01-01T00:00",
        ["2026-01-02T00:00", "2026-01-04T00:00", "2026-01-05T00:00", "2026-01-07T00:00"],
    ),
    (
        "0 0 * * */2",  # Sunday, Tuesday, Thursday, Saturday
        "UTC",
        "2026-01-01T00:00",
        ["2026-01-03T00:00", "2026-01-04T00:00", "2026-01-06T00:00", "2026-01-08T00:00"],
    ),
    ("0 0 * * */7", "UTC", "2026-01-01T00:00", ["2026-01-04T00:00", "2026-01-11T00:00"]),
    # Aliases, in any case.
    ("@hourly", "UTC", "2026-01-01T00:30", ["2026-01-01T01:00", "2026-01-01T02:00"]),
    ("@daily", "UTC", "2026-01-01T00:00", ["2026-01-02T00:00", "2026-01-03T00:00"]),
    ("@midnight", "UTC", "2026-01-01T00:00", ["2026-01-02T00:00", "2026-01-03T00:00"]),
    ("@weekly", "UTC", "2026-01-01T00:00", ["2026-01-04T00:00", "2026-01-11T00:00"]),
    ("@monthly", "UTC", "2026-01-01T00:00", ["2026-02-01T00:00", "2026-03-01T00:00"]),
    ("@yearly", "UTC", "2026-01-01T00:00", ["2027-01-01T00:00", "2028-01-01T00:00"]),
    ("@annually", "UTC", "2026-01-01T00:00", ["2027-01-01T00:00", "2028-01-01T00:00"]),
    (" @Daily ", "UTC", "2026-01-01T00:00", ["2026-01-02T00:00"]),
]

DATES: list[Row] = [
    # A month without the day is passed over.
    (
        "0 0 31 * *",
        "UTC",
        "2026-01-31T00:00",
        ["2026-03-31T00:00", "2026-05-31T00:00", "2026-07-31T00:00", "2026-08-31T00:00"],
    ),
    ("0 0 30 * *", "UTC", "2026-01-30T00:00", ["2026-03-30T00:00"]),
    ("59 23 28-31 * *", "UTC", "2026-02-01T00:00", ["2026-02-28T23:59", "2026-03-28T23:59"]),
    ("0 0 30 2,4 *", "UTC", "2026-01-01T00:00", ["2026-04-30T00:00", "2027-04-30T00:00"]),
    # 29 February: 2000 is a leap year, 2100 is not.
    ("0 0 29 2 *", "UTC", "2026-01-01T00:00", ["2028-02-29T00:00", "2032-02-29T00:00"]),
    ("0 0 29 2 *", "UTC", "1996-02-29T00:00", ["2000-02-29T00:00"]),
    ("0 0 29 2 *", "UTC", "2096-02-29T00:00", ["2104-02-29T00:00"]),
    # 29 February 2028 is a Tuesday; four years on are five weekdays on, so 2032 is a Sunday and so
    # is every 28th year after it, until 2100 is left out: from 2088 it takes 40 years.
    (
        "0 0 29 2 */7",
        "UTC",
        "2026-01-01T00:00",
        ["2032-02-29T00:00", "2060-02-29T00:00", "2088-02-29T00:00", "2128-02-29T00:00"],
    ),
    # Vixie: both day fields restricted, either is enough. 13 January 2026 is a Tuesday.
    (
        "0 0 13 * 5",
        "UTC",
        "2026-01-02T00:00",
        ["2026-01-09T00:00", "2026-01-13T00:00", "2026-01-16T00:00"],
    ),
    ("0 0 1-31 * 1", "UTC", "2026-01-01T00:00", ["2026-01-02T00:00", "2026-01-03T00:00"]),
    # 30 February never comes, but the Mondays of February do: 2, 9, 16, 23.
    (
        "0 0 30 2 1",
        "UTC",
        "2026-02-09T00:00",
        ["2026-02-16T00:00", "2026-02-23T00:00", "2027-02-01T00:00"],
    ),
    # Vixie: a day field beginning with * needs both. Odd days that are Mondays (5, 12, 19, 26
    # January; 2, 9, 16, 23 February).
    (
        "0 0 */2 * 1",
        "UTC",
        "2026-01-01T00:00",
        ["2026-01-05T00:00", "2026-01-19T00:00", "2026-02-09T00:00", "2026-02-23T00:00"],
    ),
    # The first Sunday of the month.
    (
        "0 0 1-7 * */7",
        "UTC",
        "2026-01-01T00:00",
        ["2026-01-04T00:00", "2026-02-01T00:00", "2026-03-01T00:00", "2026-04-05T00:00"],
    ),
    ("0 0 *,5 * 1", "UTC", "2026-01-01T00:00", ["2026-01-05T00:00", "2026-01-12T00:00"]),
    ("0 0 * 2 *", "UTC", "2026-02-27T00:00", ["2026-02-28T00:00", "2027-02-01T00:00"]),
]

ZONES: list[Row] = [
    ("0 9 * * *", "Asia/Kolkata", "2026-01-01T00:00", ["2026-01-01T03:30"]),  # +5:30
    ("15 6 * * *", "Asia/Kathmandu", "2026-01-01T00:00", ["2026-01-01T00:30"]),  # +5:45
    ("0 0 1 1 *", "Pacific/Kiritimati", "2026-06-01T00:00", ["2026-12-31T10:00"]),  # +14
    # New York in spring, the gap 02:00-03:00 EST ends at 07:00 UTC. Fixed times in it run there,
    # together, and together with what is due at 03:00.
    ("30 2 * * *", NY, "2026-03-07T08:00", ["2026-03-08T07:00", "2026-03-09T06:30"]),
    ("0 3 * * *", NY, "2026-03-07T12:00", ["2026-03-08T07:00", "2026-03-09T07:00"]),
    ("59 1 * * *", NY, "2026-03-07T12:00", ["2026-03-08T06:59", "2026-03-09T05:59"]),
    (
        "0,30 2 * * *",
        NY,
        "2026-03-07T12:00",
        ["2026-03-08T07:00", "2026-03-09T06:00", "2026-03-09T06:30"],
    ),
    (
        "0 2,3 * * *",
        NY,
        "2026-03-07T12:00",
        ["2026-03-08T07:00", "2026-03-09T06:00", "2026-03-09T07:00"],
    ),
    ("30 2,3 * * *", NY, "2026-03-07T12:00", ["2026-03-08T07:00", "2026-03-08T07:30"]),
    ("30 2 8 3 *", NY, "2026-01-01T00:00", ["2026-03-08T07:00", "2027-03-08T07:30"]),
    # Wildcards: what the clocks never show does not run; 01:30 EST is followed by 03:30 EDT.
    ("*/30 2 * * *", NY, "2026-03-07T12:00", ["2026-03-09T06:00", "2026-03-09T06:30"]),
    ("30 * * * *", NY, "2026-03-08T06:00", ["2026-03-08T06:30", "2026-03-08T07:30"]),
    # New York in autumn, 01:00-02:00 comes as EDT (05:00 UTC) and as EST (06:00 UTC).
    ("30 1 * * *", NY, "2026-10-31T12:00", ["2026-11-01T05:30", "2026-11-02T06:30"]),
    ("30 1 * * *", NY, "2026-11-01T05:45", ["2026-11-02T06:30"]),
    ("0 2 * * *", NY, "2026-11-01T05:30", ["2026-11-01T07:00"]),
    (
        "30 0-2 * * *",
        NY,
        "2026-11-01T04:00",
        ["2026-11-01T04:30", "2026-11-01T05:30", "2026-11-01T07:30"],
    ),
    # 0-59 names every minute but does not begin with *, so it is fixed.
    ("0-59 1 * * *", NY, "2026-11-01T05:58", ["2026-11-01T05:59", "2026-11-02T06:00"]),
    (
        "30 * * * *",
        NY,
        "2026-11-01T04:45",
        ["2026-11-01T05:30", "2026-11-01T06:30", "2026-11-01T07:30"],
    ),
    (
        "*/30 1 * * *",
        NY,
        "2026-11-01T04:45",
        [
            "2026-11-01T05:00",
            "2026-11-01T05:30",
            "2026-11-01T06:00",
            "2026-11-01T06:30",
            "2026-11-02T06:00",
        ],
    ),
    # Berlin: the gap ends, and the repeated hour begins again, at 01:00 UTC.
    ("30 2 * * *", BERLIN, "2026-03-28T12:00", ["2026-03-29T01:00", "2026-03-30T00:30"]),
    ("0 9 * * *", BERLIN, "2026-03-28T00:00", ["2026-03-28T08:00", "2026-03-29T07:00"]),
    ("30 2 * * *", BERLIN, "2026-10-24T12:00", ["2026-10-25T00:30", "2026-10-26T01:30"]),
    ("0 3 * * *", BERLIN, "2026-10-24T12:00", ["2026-10-25T02:00", "2026-10-26T02:00"]),
    (
        "*/30 2 * * *",
        BERLIN,
        "2026-10-24T23:00",
        [
            "2026-10-25T00:00",
            "2026-10-25T00:30",
            "2026-10-25T01:00",
            "2026-10-25T01:30",
            "2026-10-26T01:00",
        ],
    ),
    # Lord Howe, half an hour: 01:45 is shown at 14:45 UTC (+11) and at 15:15 UTC (+10:30).
    ("45 1 * * *", LORD_HOWE, "2026-04-04T00:00", ["2026-04-04T14:45", "2026-04-05T15:15"]),
    ("0 2 * * *", LORD_HOWE, "2026-04-04T00:00", ["2026-04-04T15:30"]),
    (
        "*/15 1 * * *",
        LORD_HOWE,
        "2026-04-04T14:20",
        ["2026-04-04T14:30", "2026-04-04T14:45", "2026-04-04T15:00", "2026-04-04T15:15"],
    ),
    # Its gap 02:00-02:30 ends at 15:30 UTC on 3 October.
    ("15 2 * * *", LORD_HOWE, "2026-10-03T00:00", ["2026-10-03T15:30", "2026-10-04T15:15"]),
    ("0,30 2 * * *", LORD_HOWE, "2026-10-03T00:00", ["2026-10-03T15:30", "2026-10-04T15:00"]),
    (
        "*/15 2 * * *",
        LORD_HOWE,
        "2026-10-03T00:00",
        ["2026-10-03T15:30", "2026-10-03T15:45", "2026-10-04T15:00"],
    ),
    # Midnight does not exist: the day begins at 01:00, which is 03:00 UTC (Sao Paulo), 22:00 UTC
    # of the day before (Cairo, +2 to +3 on Friday 26 April 2024).
    ("@daily", SAO_PAULO, "2018-11-03T12:00", ["2018-11-04T03:00", "2018-11-05T02:00"]),
    ("0 * * * *", SAO_PAULO, "2018-11-04T02:00", ["2018-11-04T03:00", "2018-11-04T04:00"]),
    ("0 0 * * *", "Africa/Cairo", "2024-04-25T12:00", ["2024-04-25T22:00", "2024-04-26T21:00"]),
    ("30 0 * * FRI", "Africa/Cairo", "2024-04-25T12:00", ["2024-04-25T22:00"]),
    # Midnight takes 23:00-24:00 of the day before back: 23:00 at -2 is 01:00 UTC, at -3 02:00 UTC.
    ("0 23 * * *", SAO_PAULO, "2018-02-17T12:00", ["2018-02-18T01:00", "2018-02-19T02:00"]),
    ("0 0 * * *", SAO_PAULO, "2018-02-17T12:00", ["2018-02-18T03:00"]),
    (
        "*/30 23 17 2 *",
        SAO_PAULO,
        "2018-02-17T12:00",
        ["2018-02-18T01:00", "2018-02-18T01:30", "2018-02-18T02:00", "2018-02-18T02:30"],
    ),
    # One minute into the 7th the clocks return to the 6th, so days interleave: midnight at 02:30
    # UTC (-2:30) and 03:30 UTC (-3:30); the second 23:00 is not shown, since 23:01 is the first.
    ("0 0 * * *", ST_JOHNS, "2010-11-06T12:00", ["2010-11-07T02:30", "2010-11-08T03:30"]),
    ("30 23 * * *", ST_JOHNS, "2010-11-06T12:00", ["2010-11-07T02:00", "2010-11-08T03:00"]),
    (
        "0 * * * *",
        ST_JOHNS,
        "2010-11-07T02:00",
        ["2010-11-07T02:30", "2010-11-07T03:30", "2010-11-07T04:30"],
    ),
    (
        "*/30 23 6 11 *",
        ST_JOHNS,
        "2010-11-06T12:00",
        ["2010-11-07T01:30", "2010-11-07T02:00", "2010-11-07T03:00"],
    ),
    # Nuuk skips 23:00-24:00 on Saturday 28 March 2026 (-2 to -1): the gap's end, 01:00 UTC, is
    # already Sunday, and Sunday's midnight is the same run.
    ("30 23 * * SAT", "America/Nuuk", "2026-03-28T12:00", ["2026-03-29T01:00", "2026-04-05T00:30"]),
    (
        "0 0,23 * * *",
        "America/Nuuk",
        "2026-03-28T12:00",
        ["2026-03-29T01:00", "2026-03-30T00:00", "2026-03-30T01:00"],
    ),
    # Two hours (Troll, 0 to +2 at 01:00 UTC) and three (Casey, +8 to +11 at 18:00 UTC) still run.
    (
        "0 1,2 * * *",
        "Antarctica/Troll",
        "2026-03-28T12:00",
        ["2026-03-29T01:00", "2026-03-29T23:00", "2026-03-30T00:00"],
    ),
    (
        "30 3 * * *",
        "Antarctica/Casey",
        "2009-10-17T00:00",
        ["2009-10-17T18:00", "2009-10-18T16:30"],
    ),
    # Samoa had no 30 December 2011 (-10 to +14): more than 3 hours, so its times do not run.
    ("0 12 * * *", "Pacific/Apia", "2011-12-29T00:00", ["2011-12-29T22:00", "2011-12-30T22:00"]),
    ("0 0 * * *", "Pacific/Apia", "2011-12-29T12:00", ["2011-12-30T10:00"]),
    ("0 12 30 12 *", "Pacific/Apia", "2011-06-01T00:00", ["2012-12-29T22:00"]),
    # Kwajalein had most of 30 September 1969 twice (+11 to -12): the first counts.
    (
        "0 12 30 9 *",
        "Pacific/Kwajalein",
        "1969-09-01T00:00",
        ["1969-09-30T01:00", "1970-10-01T00:00"],
    ),
    # Liberia was 44:30 behind UTC until its midnight of 7 January 1972.
    ("0 12 * * *", "Africa/Monrovia", "1971-06-01T00:00", ["1971-06-01T12:44:30"]),
    (
        "30 0 * * *",
        "Africa/Monrovia",
        "1972-01-06T12:00",
        ["1972-01-07T00:44:30", "1972-01-08T00:30"],
    ),
    # Niamey's clocks went from midnight of New Year 1912 (+0:08:28) back to 22:51:32 (-1), while
    # UTC's New Year fell into the repeated time: 23:00 is at 22:51:32 UTC, and not again at 00:00.
    (
        "0 23 * * *",
        "Africa/Niamey",
        "1911-12-31T12:00",
        ["1911-12-31T22:51:32", "1912-01-02T00:00"],
    ),
    # Midnight of New Year is no boundary: Sydney's year begins at 13:00 UTC (+11).
    ("0 0 1 1 *", "Australia/Sydney", "2025-12-31T12:59", ["2025-12-31T13:00", "2026-12-31T13:00"]),
    ("*/30 * * * *", "Australia/Sydney", "2025-12-31T23:45", ["2026-01-01T00:00"]),
]

REFUSED: list[tuple[str, str]] = [
    ("", "five fields"),
    ("* *", "got 2: '* *'"),
    ("* * * *", "got 4"),
    ("0 0 * * * *", "got 6"),
    ("0 0 0 1 1 * 2026", "no seconds, no year"),
    ("* " * 400 + "*", "at most 500 characters"),
    ("@reboot", "'@reboot' is not supported"),
    ("@dayly", "did you mean '@daily'"),
    ("@every 5m", "is unknown"),
    ("@", "known are @hourly"),
    ("60 * * * *", "cron minute '60': 60 is not in 0 to 59"),
    ("-1 * * * *", "cron minute '-1': write"),
    ("1.5 * * * *", "cron minute '1.5'"),
    ("0 24 * * *", "cron hour '24': 24 is not in 0 to 23"),
    ("0 0 0 * *", "cron day of month '0': 0 is not in 1 to 31"),
    ("0 0 32 * *", "cron day of month '32'"),
    ("0 0 1 0 *", "cron month '0': 0 is not in 1 to 12"),
    ("0 0 1 13 *", "cron month '13'"),
    ("0 0 * * 8", "cron day of week '8': 8 is not in 0 to 7"),
    ("0 0 L * *", "'L' (last)"),
    ("0 0 LW * *", "'L' (last)"),
    ("0 0 L-3 * *", "'L' (last)"),
    ("0 0 * * 5L", "'L' (last)"),
    ("0 0 15W * *", "'W' (nearest"),
    ("0 0 * * 5#2", "'#' (nth"),
    ("0 0 * * FRI#2", "'#' (nth"),
    ("0 0 ? * 1", "write '*'"),
    ("H * * * *", "'H' (hashed)"),
    ("H/15 * * * *", "'H' (hashed)"),
    ("h(0-9) * * * *", "'H' (hashed)"),
    ("R * * * *", "'R' (random)"),
    ("R(1-5) * * * *", "'R' (random)"),
    ("5-1 * * * *", "reversed, write '5-59,0-1'"),
    ("0 22-2 * * *", "reversed, write '22-23,0-2'"),
    ("0 0 1 NOV-FEB *", "reversed, write '11-12,1-2'"),
    ("0 0 * * SAT-MON", "reversed, write '6-7,0-1'"),
    ("0 0 * * 5-0", "reversed"),
    ("*/0 * * * *", "step must be a number 1 to 60, got '0'"),
    ("1-5/0 * * * *", "step must be"),
    ("*/90 * * * *", "step must be a number 1 to 60, got '90'"),
    ("0 */25 * * *", "step must be a number 1 to 24"),
    ("*/ * * * *", "step must be"),
    ("*/x * * * *", "step must be"),
    ("*/-5 * * * *", "cron minute '*/-5': write"),
    ("5/10 * * * *", "write '5-59/10'"),
    ("*-5 * * * *", "write *"),
    ("1-2-3 * * * *", "write *"),
    ("1- * * * *", "write *"),
    ("** * * * *", "write *"),
    ("1,,2 * * * *", "cron minute ''"),
    (", * * * *", "cron minute ''"),
    ("1, * * * *", "cron minute ''"),
    ("MON * * * *", "must be a number 0 to 59"),
    ("0 0 1 MON *", "or a name JAN"),
    ("0 0 1 JANU *", "did you mean JAN"),
    ("0 0 * * MONDAY", "did you mean MON"),
    ("0 0 * * THUR", "did you mean THU"),
    ("0 0 31 2 *", "'31' never comes in month '2'"),
    ("0 0 30 FEB *", "never comes"),
    ("0 0 31 4,6,9,11 *", "never comes"),
    ("0 0 30-31 2 */2", "never comes"),
    ("\u0663 * * * *", "cron minute '\u0663': write"),
    ("0\x00 * * * *", "cron minute '0\\x00'"),
    ("0 0 * * * \U0001f600", "got 6"),
    ("9" * 400 + " * * * *", "is not in 0 to 59"),
]


def utc(text: str) -> datetime:
    """Read the table's zone-less notation."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(("expression", "zone", "after", "expected"), FIELDS + DATES + ZONES)
def test_a_cron_runs_at_the_times_worked_out_by_hand(
    expression: str, zone: str, after: str, expected: list[str]
) -> None:
    """Runs follow `after` strictly, one after the other, as contract section 6 says."""
    cron = Cron.parse(expression, zone)
    runs: list[datetime | None] = []
    moment: datetime | None = utc(after)
    for _ in expected:
        assert moment is not None
        moment = cron.next_after(moment)
        runs.append(moment)
    assert runs == [utc(text) for text in expected]


@pytest.mark.parametrize(("expression", "zone", "after", "expected"), FIELDS + DATES + ZONES)
def test_the_table_reads_the_same_backwards_and_counted(
    expression: str, zone: str, after: str, expected: list[str]
) -> None:
    """The last run before the last expected one is its predecessor, and the count is the row's."""
    cron = Cron.parse(expression, zone)
    runs = [utc(text) for text in expected]
    for earlier, later in pairwise(runs):
        assert cron.last_before(later) == earlier
    assert cron.count(runs[0], runs[-1]) == len(runs)


@pytest.mark.parametrize(("expression", "fragment"), REFUSED)
def test_a_cron_outside_the_contract_is_refused_with_the_reason(
    expression: str, fragment: str
) -> None:
    """The message names the field, the text and what would be right."""
    with pytest.raises(InvalidCron) as refusal:
        Cron.parse(expression)
    assert fragment in str(refusal.value)


ADVISED = [text for text, fragment in REFUSED if fragment.startswith(("reversed", "write '5-"))]


@pytest.mark.parametrize("expression", ADVISED)
def test_the_advice_for_a_reversed_range_or_a_bare_step_is_itself_accepted(expression: str) -> None:
    """Whoever replaces the first quoted text by the last one has a valid cron."""
    with pytest.raises(InvalidCron) as refusal:
        Cron.parse(expression)
    _, wrong, *_, right, _ = str(refusal.value).split("'")
    assert Cron.parse(expression.replace(wrong, right)).next_after(utc("2026-01-01T00:00"))
