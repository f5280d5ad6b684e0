"""A published city is changed behind its back: whoever checks finds it, and says what it is.

The city is as its departments left it: nodes stopped, a round published, every head seen by witnesses. Each change is
made in the files themselves, looked for with the command that an auditor would give, and taken back.
"""

import json
import random
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL

import pytest

from tests.cli.test_log_remote import Server
from tests.crash.tampering import BUREAU, HOLDS, TARGETS, TURNS, Auditor, Found, change_a_byte, frames, undone
from tests.full import count, seed
from tests.journeys.town import ENVIRONMENT, ROOT, Town, command, until
from tongban.cli import keyring, log_read
from tongban.cli.keyring import DirectoryUnusable
from tongban.exchange.directory import Directory
from tongban.kit import canonical
from tongban.kit.keys import read_key
from tongban.rounds.folder import file_digest
from tongban.tlog import folder as log_folder
from tongban.tlog import history
from tongban.tlog.checkpoint import Checkpoint, parse, sign
from tongban.tlog.cosignature import cosign
from tongban.tlog.tile import bundle, bundles, hashes, of_size
from tongban.tlog.tree import Tree, leaf_hash

pytestmark = [pytest.mark.crash, pytest.mark.timeout(580)]

#: 60 in every run, 1,000 in the full one.
IN_FILES, IN_TILES, IN_DIRECTORIES = (count("tamper", usual, full) for usual, full in ((40, 800), (10, 100), (10, 100)))


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Town:
    town = Town(tmp_path_factory.mktemp("tamper") / "hamlet").start()
    until(town.persons_committed, "the persons of every batch are committed")
    nodes = [log for name, log in town.logs().items() if name != BUREAU]
    until(lambda: all((log / "cosigned").exists() for log in nodes), "every log is cosigned")
    assert town.stop() == 0
    return town


@pytest.fixture
def auditor(city: Town, capsys: pytest.CaptureFixture[str]) -> Auditor:
    return Auditor(city, capsys)


# --- Single bytes ---------------------------------------------------------------------------------


def test_the_untouched_city_passes_every_check(city: Town, auditor: Auditor) -> None:
    for target in TARGETS:
        for path in {one.parent: one for one in target.files(city)}.values():
            assert target.check(auditor, path) == HOLDS, (target.name, path)


def test_a_changed_byte_is_found_wherever_it_is(city: Town, auditor: Auditor) -> None:
    chance, unseen, changed = random.Random(seed()), [], Counter()
    for number in range(IN_FILES):
        target = TURNS[number % len(TURNS)]
        path = chance.choice([one for one in target.files(city) if one.stat().st_size])
        mend = path.parent.name == "entries" and chance.random() < 0.5
        with undone(path):
            at = change_a_byte(path, chance, mend=mend)
            found = target.check(auditor, path)
        changed[target.name] += 1
        if found.status == 0 or not found.codes or not found.codes <= target.codes:
            unseen.append((target.name, path.name, at, mend, found))
    assert unseen == []
    assert set(changed) == {target.name for target in TARGETS}


# --- Tiles ----------------------------------------------------------------------------------------


class View:
    """A log as its tiles show it: the files of an address."""

    def __init__(self, log: Path, note: bytes, leaves: list[bytes] | None = None) -> None:
        head = parse(note)[0]
        leaves = [one.leaf for one in log_read.entries(log)][: head.size] if leaves is None else leaves
        tree = Tree()
        tree.extend(b"".join(map(leaf_hash, leaves)))
        self.files = {one.path: hashes(tree, one) for one in of_size(head.size)}
        for one in bundles(head.size):
            self.files[one.path] = bundle(leaves[one.first : one.first + one.width])
        self.files["checkpoint"] = note


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as found:
        yield found


def test_a_changed_byte_of_a_tile_or_of_the_signed_head_is_found_from_outside(
    city: Town, auditor: Auditor, server: Server
) -> None:
    chance, unseen = random.Random(seed()), []
    for number in range(IN_TILES):
        log = city.logs()[chance.choice(city.nodes)]
        server.site = View(log, (log / "cosigned").read_bytes())
        assert auditor.url(server.url) == HOLDS
        names = sorted(server.site.files)
        name = names[number % len(names)]
        data = bytearray(server.site.files[name])
        at = chance.randrange(len(data) if name != "checkpoint" else data.index(b"\n\n"))
        data[at] ^= chance.randrange(1, 256)
        server.site.files[name] = bytes(data)
        found = auditor.url(server.url)
        told = {"tlog.tile_invalid", "tlog.root_differs", "tlog.leaf_not_canonical", "tlog.checkpoint_invalid"}
        told |= {"cli.log_key_unlisted", "cli.log_unreachable"} if name == "checkpoint" else set()
        if found.status == 0 or not found.codes or not found.codes <= told:
            unseen.append((name, at, found))
    assert unseen == []


def test_a_changed_cosignature_is_not_counted_from_outside(city: Town, auditor: Auditor, server: Server) -> None:
    """A line that names nobody known is passed over, as the format wants it; one of a known witness spoils the note."""
    chance = random.Random(seed())
    log = city.logs()["transport"]
    note = (log / "cosigned").read_bytes()
    server.site = View(log, note)
    assert auditor.url(server.url) == HOLDS
    seen = len(auditor.said[0]["witnesses"])
    for _ in range(10):
        data = bytearray(note)
        data[chance.randrange(data.index(b"\n\n") + 2 + len(note.splitlines()[4]) + 1, len(data) - 1)] ^= 1
        server.site.files["checkpoint"] = bytes(data)
        found = auditor.url(server.url)
        assert found.status != 0 or len(auditor.said[0]["witnesses"]) < seen


def test_tiles_in_each_other_s_place_are_found(city: Town, auditor: Auditor, server: Server) -> None:
    log = city.logs()["transport"]
    server.site = View(log, (log / "cosigned").read_bytes())
    tiles = [name for name in server.site.files if name.startswith("tile/")]
    assert len(tiles) > 1
    one, other = tiles[0], tiles[-1]
    files = server.site.files
    files[one], files[other] = files[other], files[one]
    assert "tlog.tile_invalid" in auditor.url(server.url).codes


def test_two_views_of_one_log_are_found_by_whoever_sees_both(
    city: Town, auditor: Auditor, server: Server, tmp_path: Path
) -> None:
    """Its owner and two witnesses conspire: each witness is shown one of two histories, and each view looks whole."""
    log, node = city.logs()["local-tax"], city.folder / "nodes" / "local-tax"
    key = read_key(node / "keys" / "online.json")
    true = [one.leaf for one in log_read.entries(log)]
    others = [read_key(city.folder / "nodes" / name / "keys" / "witness.json") for name in ("state-tax", "transport")]
    for leaves, code in ((true, set()), ([*true[:-1], true[0]], {"tlog.root_differs"})):
        tree = Tree()
        tree.extend(b"".join(map(leaf_hash, leaves)))
        head = Checkpoint(log_folder.identity(log)["origin"], tree.size, tree.root())
        note = sign(head, key)
        note += b"".join(cosign(head.text(), one.id, one, int(time.time())) for one in others)
        server.site = View(log, note, leaves)
        assert auditor.url(server.url) == HOLDS
        assert auditor.url(server.url, "--remember", tmp_path / "seen").codes == code


# --- Directories ----------------------------------------------------------------------------------


def tables(directory: Directory) -> list[dict[str, object]]:
    """What a directory says and gives effect."""
    found = [directory.members, directory.nodes, directory.keys, directory.resources, directory.rules, directory.grants]
    return [*map(dict, found), {"witnessing": directory.witnessing} if directory.witnessing else {}]


def found_in(changed: Directory, before: Directory) -> bool:
    """Whether it says nothing that was not said, and names whatever it no longer gives effect."""
    said, less = tables(before), tables(changed)
    if (changed.root.digest, changed.head) != (before.root.digest, before.head):
        return False
    if any(was.get(id) != one for left, was in zip(less, said, strict=True) for id, one in left.items()):
        return False
    return less == said or len(changed.ignored) > len(before.ignored)


def test_a_directory_with_a_changed_byte_is_refused_or_its_entry_is_named_as_without_effect(
    city: Town, auditor: Auditor
) -> None:
    """An entry with a signature that does not hold is ignored, and said to be.

    More keys may have signed a root than must have: there, one signature that does not hold changes nothing.
    """
    chance, strange, refused = random.Random(seed()), [], 0
    paths = [auditor.directory, *(city.folder / "nodes" / node / "directory.json" for node in city.nodes)]
    for _ in range(IN_DIRECTORIES):
        path = chance.choice(paths)
        before = keyring.read(path)
        with undone(path):
            at = change_a_byte(path, chance, mend=False)
            try:
                if not found_in(keyring.read(path, before.root.digest), before):
                    strange.append((path.name, at))
            except DirectoryUnusable:
                refused += 1
    assert strange == []
    assert refused > IN_DIRECTORIES // 2


def test_a_node_whose_directory_was_changed_says_so(city: Town, auditor: Auditor) -> None:
    path = city.folder / "nodes" / "transport" / "directory.json"
    with undone(path):
        path.write_bytes(path.read_bytes().replace(b'"version":', b'"version":1', 1))
        assert auditor.node(path) == Found(1, frozenset({"directory"}))


# --- More than a byte -----------------------------------------------------------------------------


def test_a_file_cut_anywhere_is_found(city: Town, auditor: Auditor) -> None:
    chance, unseen = random.Random(seed()), []
    for target in TARGETS:
        # A signature that is not there says nothing: it is counted as one that is not kept.
        if target.name == "signatures of answers":
            continue
        path = chance.choice([one for one in target.files(city) if one.stat().st_size])
        with undone(path):
            path.write_bytes(path.read_bytes()[: chance.randrange(path.stat().st_size)])
            found = target.check(auditor, path)
        if found.status == 0 or not found.codes:
            unseen.append((target.name, path, found))
    assert unseen == []


def test_entries_in_another_order_taken_out_or_put_in_twice_are_found(city: Town, auditor: Auditor) -> None:
    path = city.logs()["transport"] / "entries" / "00000000.log"
    whole = frames(path)
    changes = {
        "exchanged": [whole[1], whole[0], *whole[2:]],
        "taken out": whole[1:],
        "twice": [whole[0], *whole],
        "from the end": [whole[-1], *whole[:-1]],
    }
    for change, kept in changes.items():
        with undone(path):
            path.write_bytes(b"".join(kept))
            found = auditor.log(path)
        assert found.codes & {"tlog.root_differs", "tlog.shorter_than_checkpoint"}, (change, found)


def test_checkpoints_in_another_order_are_found(city: Town, auditor: Auditor) -> None:
    path = city.logs()["transport"] / "checkpoints.log"
    notes = history.split(path.read_bytes())[0]
    assert len(notes) > 1
    with undone(path):
        path.write_bytes(b"".join(note + b"\n" for note in reversed(notes)))
        assert auditor.log(path).codes == {"tlog.checkpoints_disordered"}


def test_members_of_a_manifest_in_another_order_are_found(city: Town, auditor: Auditor) -> None:
    for name in ("decisions/manifest.json", "decisions/step.json", "round.json"):
        path = city.round(city.first_round) / name
        with undone(path):
            held = json.loads(path.read_bytes())
            path.write_bytes(json.dumps(dict(reversed(held.items())), separators=(",", ":")).encode() + b"\n")
            assert auditor.round().codes == {"rounds.damaged"}


def test_whoever_rewrites_the_digests_too_has_not_signed_them(city: Town, auditor: Auditor) -> None:
    place = city.round(city.first_round) / "decisions"
    results, manifest, step = place / "decisions.parquet", place / "manifest.json", place / "step.json"
    following = city.round(city.first_round) / "frozen" / "step.json"
    with undone(results, manifest, step, following):
        change_a_byte(results, random.Random(seed()), mend=False)
        held = canonical.decode(manifest.read_bytes()[:-1])
        held["body"]["results"] = file_digest(results)
        manifest.write_bytes(canonical.encode(held) + b"\n")
        done = canonical.decode(step.read_bytes()[:-1])
        done["outputs"] = {name: file_digest(place / name) for name in done["outputs"]}
        step.write_bytes(canonical.encode(done) + b"\n")
        after = canonical.decode(following.read_bytes()[:-1])
        after["inputs"]["decided"] = canonical.digest(done["outputs"])
        following.write_bytes(canonical.encode(after) + b"\n")
        assert auditor.round().codes == {"rounds.damaged"}
        assert "decisions/manifest.json" in auditor.said[0]["said"]
        assert "decisions.parquet" not in auditor.said[0]["said"]


def test_a_stage_whose_receipt_was_never_kept_is_said_to_be_unfinished(city: Town, auditor: Auditor) -> None:
    """As a kill between the two leaves it: no fault, and the step taken again finishes it."""
    path = city.round(city.first_round) / "receipts" / "drawn.persons.json"
    with undone(path):
        path.unlink()
        assert auditor.round() == Found(1, frozenset())
        assert auditor.said[0]["unfinished"] == ["receipts/drawn.persons.json"]
        assert "round draw" in auditor.said[0]["what_to_do"]


def test_bytes_in_the_room_ahead_of_the_entries_are_told(city: Town, auditor: Auditor) -> None:
    """Zeros there are room; anything else is the end of a write that was cut off, is said, and is no entry."""
    path = city.logs()["transport"] / "entries" / "00000000.log"
    with undone(path):
        whole = path.read_bytes()
        for room, torn in ((bytes(4096), 0), (bytes(100) + b"\x07" + bytes(3995), 101)):
            path.write_bytes(whole + room)
            assert auditor.log(path) == HOLDS
            assert auditor.said[0]["torn"] == torn


@contextmanager
def up(folder: Path) -> Iterator[None]:
    """The city runs again meanwhile, as far as it does."""
    words = command("up", "--city", folder, "--size", "hamlet")
    with subprocess.Popen(words, cwd=ROOT, env=ENVIRONMENT, stdout=DEVNULL, stderr=DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


def test_an_older_folder_brought_back_whole_is_found_when_its_node_starts(city: Town, auditor: Auditor) -> None:
    """It agrees with itself; the other departments' nodes remember that there was more."""
    node = city.folder / "nodes" / "local-tax"
    log, aside = node / "log", node.with_name("newest-log")
    shutil.copytree(log, aside)
    try:
        notes = history.split((log / "checkpoints.log").read_bytes())[0]
        size = parse(notes[0])[0].size
        assert size < parse(notes[-1])[0].size
        path = log / "entries" / "00000000.log"
        path.write_bytes(b"".join(frames(path)[:size]))
        (log / "checkpoint").write_bytes(notes[0])
        (log / "checkpoints.log").write_bytes(notes[0] + b"\n")
        (log / "cosigned").unlink()
        (log / "answers" / "00000000.sig").unlink(missing_ok=True)
        assert auditor.log(log) == HOLDS
        with up(city.folder):
            # At its start in words, which is the code's message; by its code once it has shown its head.
            told = ("saw this log with", "node.log_contradicted")
            until(lambda: any(one in (node / "node.out").read_text() for one in told), "the node says so")
    finally:
        shutil.rmtree(log)
        aside.rename(log)
