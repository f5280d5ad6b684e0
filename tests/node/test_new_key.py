"""A node whose online key was changed, as after a theft: it continues its log, under the new key alone."""

import pytest

from tests.node.asking import Asker
from tests.node.place import PROVIDER, Place
from tests.node.running import inside, opened
from tongban.kit.keys import SigningKey
from tongban.tlog.checkpoint import CheckpointInvalid, verify
from tongban.tlog.history import CheckpointUnreadable


def changed(place: Place, name: str, key: SigningKey) -> None:
    file = place.node(name) / "keys" / "online.json"
    file.unlink()
    key.write(file)


def test_a_node_with_a_new_key_continues_its_log(place: Place) -> None:
    name, former = "twin-new-key", place.key(PROVIDER, "online")
    key, listed = place.online_key(900_020, PROVIDER)
    place.put(listed)
    with inside(place, name, PROVIDER) as found:
        assert found.send(Asker(place, now=found.clock.seconds).query()).status == 200
        start, size = found.clock.now, found.node.log.tree.size
    changed(place, name, key)
    with opened(place.node(name), start + 1) as again:
        log = again.node.log
        assert log.tree.size == size
        assert verify(log.checkpoint(), log.origin, [key.public]).size == size
        with pytest.raises(CheckpointInvalid):
            verify(log.checkpoint(), log.origin, [former.public])
        assert again.send(Asker(place, now=again.clock.seconds).query()).status == 200


def test_a_log_whose_key_the_directory_does_not_know_is_not_continued(place: Place) -> None:
    name = "twin-strange-key"
    with inside(place, name, PROVIDER) as found:
        start = found.clock.now
        changed(place, name, SigningKey(f"{place.member(PROVIDER)}.online.900021", b"s" * 32))
    with opened(place.node(name), start + 1) as again:
        # The former key is the directory's; what is signed with the strange one from now on is nobody's.
        assert again.node.log.checkpoint()
    changed(place, name, place.key(PROVIDER, "online"))
    with pytest.raises(CheckpointUnreadable), opened(place.node(name), start + 2):
        pass
