"""Where the checkout lies, for the commands that need one: tests, benchmarks, the default place of state."""

from pathlib import Path

from tongban.kit.errors import Unavailable


class NoCheckout(Unavailable):
    code = "cli.no_checkout"
    message = "This command works in a checkout of the project; {place} is not one."
    remedy = "Get the source and run ./tongban there."


def checkout() -> Path:
    """The folder with the one script and the tests. Raises NoCheckout where only the package is installed."""
    place = Path(__file__).resolve().parents[3]
    if not (place / "tongban").is_file() or not (place / "tests").is_dir():
        raise NoCheckout(place=place)
    return place
