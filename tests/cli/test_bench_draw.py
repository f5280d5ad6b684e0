"""What `./tongban bench draw` says, at its smallest size, with the processes that it starts."""

from benchmarks import draw


def test_the_benchmark_draws_checks_and_compares():
    figures = {one["name"]: one for one in draw.run(size="hamlet", pools="one,families")}
    for kind in ("one", "families"):
        assert figures[f"draw.{kind}.winners_equal"]["value"] is True
        assert figures[f"draw.{kind}.verify"]["baseline"] > 0
        assert 0 < figures[f"draw.{kind}.verify_peak"]["value"] < 1024


def test_a_small_pool_holds_no_bar_of_the_largest_city():
    bars = [one["bar"] for one in draw.run(size="hamlet", pools="ladder")[:-1]]
    assert bars == [None] * 4


def test_the_largest_city_has_the_bars_of_the_issue():
    assert draw.SIZES["metropolis"][0] == 3_000_000
    assert draw.BARS == {"draw": 5, "verify": 15, "peak": 1024}
