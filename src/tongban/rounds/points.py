"""Points: what an applicant's draws without success are worth, and a family's persons together.

    with a spouse      ((main applicant + spouse) x 2 + sum of the others) x generations
    without            (main applicant + sum of the others) x generations

The numbers are policy: `points.csv` and `ladder.csv`.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from tongban.rounds.applications import Applications
from tongban.rounds.families import ASKED_ABOUT, CHILD, MAIN, PARENT, PARENT_IN_LAW, SPOUSE
from tongban.rounds.policy import Policy
from tongban.rounds.pool import balls

Ints = npt.NDArray[np.int64]


def points(applications: Applications, policy: Policy) -> npt.NDArray[np.int32]:
    """Points of each application, in the order of the list: its balls. Raises NoStep.

    For lists with families; in others `pool.balls` alone says it.
    """
    lines = applications.only(["role", "pool", "failed_draws", "failed_draws_to_2020"])
    role = np.asarray(lines["role"].to_numpy(zero_copy_only=False))
    alone, ladder = _earned(lines, policy)
    heads = np.flatnonzero(applications.heads())
    found = alone[heads]
    if policy.points:
        basic = np.where(role == MAIN, policy.points["basic_main"], policy.points["basic_other"])
        of_family = role[heads] == MAIN
        found[of_family] = _families(role, basic + ladder, heads, policy)[of_family]
    return found.astype(np.int32)


def _earned(lines: Any, policy: Policy) -> tuple[Ints, Ints]:
    """What each line earns for one who applies alone, and how much of it is ladder points."""
    early = np.asarray(lines["failed_draws_to_2020"].to_numpy(), np.int64)
    late = np.asarray(lines["failed_draws"].to_numpy(), np.int64) - early
    pools = np.asarray(lines["pool"].to_numpy(zero_copy_only=False))
    alone = np.zeros(len(early), np.int64)
    least = np.zeros(len(early), np.int64)
    for pool in policy.pools:
        here = pools == pool
        alone[here] = balls(late[here].astype(np.int32), policy.ladder, pool)
        least[here] = balls(np.zeros(1, np.int32), policy.ladder, pool)
    if "to_2020_every" in policy.points:
        alone += early // policy.points["to_2020_every"]
    return alone, alone - least


def _families(role: Any, own: Ints, heads: Ints, policy: Policy) -> Ints:
    """The formula for each application, as if it were a family."""
    own = np.where(np.isin(role, ASKED_ABOUT), 0, own)
    couple = np.isin(role, (MAIN, SPOUSE))
    has_spouse = _any(role == SPOUSE, heads)
    children, parents = _any(role == CHILD, heads), _any(np.isin(role, (PARENT, PARENT_IN_LAW)), heads)
    main, others = _sums(np.where(couple, own, 0), heads), _sums(np.where(couple, 0, own), heads)
    times = np.where(has_spouse, policy.points["couple_times"], 1)
    generations = 1 + children.astype(np.int64) + parents.astype(np.int64)
    found: Ints = (main * times + others) * generations
    return found


def _sums(values: Ints, heads: Ints) -> Ints:
    found: Ints = np.add.reduceat(values, heads) if len(heads) else values[:0]
    return found


def _any(flags: Any, heads: Ints) -> Any:
    return _sums(flags.astype(np.int64), heads) > 0
