from pathlib import Path

import pytest

from tests.oracle.mini import IN_2011, IN_2016, IN_2026, PASSPORT, World


def populated(world: World) -> World:
    world.settle()
    world.settle(PASSPORT, "护照")
    world.found()
    return world


@pytest.fixture
def town(tmp_path: Path) -> World:
    """The round of 2014: one citizen, one foreigner, one unit, all with clean records; nobody has applied yet."""
    return populated(World(tmp_path))


@pytest.fixture
def town_of_2026(tmp_path: Path) -> World:
    return populated(World(tmp_path, IN_2026))


@pytest.fixture
def town_of_2011(tmp_path: Path) -> World:
    return populated(World(tmp_path, IN_2011))


@pytest.fixture
def town_of_2016(tmp_path: Path) -> World:
    return populated(World(tmp_path, IN_2016))
