"""`./tongban draw historic`: what became of a code in a round of the past."""

from tests.cli.cast import machine, told


def a_pool(place, count=20):
    place.write_text("".join(f"{1_000_000_000_000 + number}\n" for number in range(count)))
    return place


def historic(tmp_path, *more, quota=5, seed="888888"):
    return ("draw", "historic", a_pool(tmp_path / "pool.txt"), "--quota", quota, "--seed", seed, *more)


def test_the_winners_are_said_in_the_order_drawn(tmp_path, capsys):
    status, said = told(capsys, *historic(tmp_path))
    assert (status, said.splitlines()[:2]) == (0, ["1,1000000000006", "2,1000000000002"])


def test_a_code_that_did_not_win_ends_with_status_one(tmp_path, capsys):
    won, lost = ("--code", "1000000000006"), ("--code", "1000000000000")
    assert told(capsys, *historic(tmp_path, *won)) == (0, "1000000000006  中签\n")
    status, found = machine(capsys, *historic(tmp_path, *won, *lost, "--code", "9" * 13))
    assert status == 1
    assert list(found[0]["asked"].values()) == ["中签", "未中签", "编码不存在"]
    assert (found[0]["numbers"], found[0]["gave_up"]) == ([7, 3, 17, 9, 10], False)


def test_what_the_program_could_not_have_drawn_from_is_wrong_usage(tmp_path, capsys):
    words = [historic(tmp_path, seed="12345"), historic(tmp_path, quota=-1)]
    words.append(("draw", "historic", tmp_path / "none.txt", "--quota", 5, "--seed", "123456"))
    for each in words:
        status, found = machine(capsys, *each)
        assert (status, found[-1]["code"]) == (2, "cli.historic_pool")


def test_the_help_says_that_it_never_draws(capsys):
    status, said = told(capsys, "draw", "historic", "--help")
    assert status == 0
    assert "only re-checks history, it never draws" in said
