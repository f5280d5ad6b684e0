from collections import Counter
from datetime import date

import chinese_calendar.constants as facts
import pytest

from tongban.calendar.notices import Kind, NoticedDay, known_on, read_notices
from tongban.kit.config import FileInvalid

HEAD = "day,kind,notice,announced_at\n"
SHIPPED = read_notices()


def refused(tmp_path, text: str) -> FileInvalid:
    path = tmp_path / "holidays.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FileInvalid) as caught:
        read_notices(path)
    return caught.value


def read(tmp_path, rows: str) -> tuple[NoticedDay, ...]:
    path = tmp_path / "holidays.csv"
    path.write_text(HEAD + rows, encoding="utf-8")
    return read_notices(path)


def test_the_shipped_days_are_those_of_chinesecalendar_and_the_one_it_forgot():
    named = {(one.day, str(one.kind)) for one in SHIPPED}
    expected = {(day, "holiday") for day in facts.holidays if 2011 <= day.year <= 2026}
    expected |= {(day, "makeup") for day in facts.workdays if 2011 <= day.year <= 2026}
    # Saturday 1 February 2020 was to be worked until the Spring Festival was prolonged.
    assert named - expected == {(date(2020, 2, 1), "makeup")}
    assert expected <= named


def test_every_year_has_its_own_notice_which_names_new_year():
    titles = {one.day.year: one.notice for one in SHIPPED if (one.day.month, one.day.day) == (1, 1)}
    assert titles == {year: f"国务院办公厅关于{year}年部分节假日安排的通知" for year in range(2011, 2027)}


def test_three_notices_changed_what_had_been_announced():
    changes = Counter(one.notice for one in SHIPPED if "部分节假日安排" not in one.notice)
    assert sorted(changes.values()) == [3, 3, 5]


def test_every_shipped_notice_bears_a_date_in_the_autumn_before_unless_it_is_a_change():
    for one in SHIPPED:
        assert one.announced_at is not None
        if "部分节假日安排" in one.notice:
            assert f"关于{one.announced_at.year + 1}年" in one.notice
            assert one.announced_at.month >= 10


def test_a_row_is_read_as_it_stands(tmp_path):
    assert read(tmp_path, "2014-05-01,holiday,通知,2013-12-11\n2014-05-04,makeup,通知,2013-12-11\n") == (
        NoticedDay(date(2014, 5, 1), Kind.HOLIDAY, "通知", date(2013, 12, 11)),
        NoticedDay(date(2014, 5, 4), Kind.MAKEUP, "通知", date(2013, 12, 11)),
    )


def test_a_date_that_nobody_knows_is_left_empty(tmp_path):
    assert read(tmp_path, "2014-05-01,holiday,通知,\n")[0].announced_at is None


def test_a_table_without_days_is_a_table(tmp_path):
    assert read(tmp_path, "") == ()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("day,kind,notice\n", 1),
        ("day,notice,kind,announced_at\n", 1),
        (HEAD + "2014-05-01,holiday,通知\n", 2),
        (HEAD + "2014-05-01,holiday,通知,,\n", 2),
        (HEAD + "\n", 2),
        (HEAD + "2014-05-01,Holiday,通知,\n", 2),
        (HEAD + "2014-05-01,HOLIDAY,通知,\n", 2),
        (HEAD + "2014-05-01,,通知,\n", 2),
        (HEAD + "2014-5-1,holiday,通知,\n", 2),
        (HEAD + "20140501,holiday,通知,\n", 2),
        (HEAD + "2014-02-29,holiday,通知,\n", 2),
        (HEAD + " 2014-05-01,holiday,通知,\n", 2),
        (HEAD + ",holiday,通知,\n", 2),
        (HEAD + "2014-05-01,holiday,,\n", 2),
        (HEAD + "2014-05-01,holiday, 通知,\n", 2),
        (HEAD + "2014-05-01,holiday,通知,soon\n", 2),
        (HEAD + "2014-05-02,makeup,通知,\n", 2),  # a Friday
        (HEAD + "2014-05-01,holiday,通知,2014-05-01\n", 2),
        (HEAD + "2014-05-01,holiday,通知,2014-05-02\n", 2),
        (HEAD + '2014-05-01,holiday,"通知,\n', 2),
        (HEAD + "2014-05-02,holiday,通知,\n2014-05-01,holiday,通知,\n", 3),
        (HEAD + "2014-05-01,holiday,通知,\n2014-05-01,holiday,通知,\n", 3),
        (HEAD + "2014-05-01,holiday,通知,2013-12-11\n2014-05-02,holiday,通知,2013-12-12\n", 3),
        (HEAD + "2014-05-01,holiday,通知,2013-12-11\n2014-05-02,holiday,通知,\n", 3),
        (HEAD + "2014-05-03,makeup,甲,2013-12-11\n2014-05-03,holiday,乙,2013-12-11\n", 3),
        (HEAD + "2014-05-03,makeup,甲,2013-12-11\n2014-05-03,holiday,乙,2013-12-10\n", 3),
        (HEAD + "2014-05-03,makeup,甲,2013-12-11\n2014-05-03,holiday,乙,\n", 3),
        (HEAD + "2014-05-03,makeup,甲,\n2014-05-03,holiday,乙,2013-12-11\n", 3),
    ],
)
def test_a_table_that_does_not_hold_is_refused_with_its_line(tmp_path, text, line):
    error = refused(tmp_path, text)
    assert error.facts["line"] == line


def test_a_later_notice_may_name_a_day_again(tmp_path):
    days = read(tmp_path, "2014-05-03,makeup,甲,2013-12-11\n2014-05-03,holiday,乙,2013-12-12\n")
    assert [one.kind for one in days] == [Kind.MAKEUP, Kind.HOLIDAY]


def test_a_sunday_and_a_saturday_may_be_worked_but_no_friday(tmp_path):
    assert len(read(tmp_path, "2014-05-03,makeup,通知,\n2014-05-04,makeup,通知,\n")) == 2
    assert "make-up" in str(refused(tmp_path, HEAD + "2014-05-02,makeup,通知,\n"))


def test_an_undated_notice_is_known_from_the_first_day_it_names():
    first = NoticedDay(date(2014, 5, 1), Kind.HOLIDAY, "通知", None)
    second = NoticedDay(date(2014, 6, 2), Kind.HOLIDAY, "通知", None)
    assert known_on([first, second], date(2014, 4, 30)) == ()
    assert known_on([first, second], date(2014, 5, 1)) == (first, second)
