"""The day it is by law: Beijing time holds in the whole country and all year, whatever a machine is set to."""

from datetime import date, datetime, timedelta, timezone

#: National standard time. Instants in statements and logs are in UTC; the days that rules and tickets name are not.
BEIJING = timezone(timedelta(hours=8), "UTC+8")


def day_of(seconds: float) -> date:
    """The day at an instant, given in seconds since 1970 UTC: it begins at 16:00 UTC of the day before."""
    return datetime.fromtimestamp(seconds, BEIJING).date()
