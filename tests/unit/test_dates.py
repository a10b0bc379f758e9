"""The date in state.json, against the library's calendar."""

import datetime

from pyoci.container.create import _date


def test_every_day_of_two_centuries() -> None:
    first = datetime.date(1970, 1, 1)
    for days in range(-400, 73500):
        day = first + datetime.timedelta(days)
        assert _date(days) == (day.year, day.month, day.day)
