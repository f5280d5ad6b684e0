"""The vectors at the end of docs/reference/log.md, made from the code; test_vectors holds the page against them.

Write them again after a change that was meant:  python -m tests.tlog.vectors
"""

import hashlib
from pathlib import Path

from tongban.kit import canonical
from tongban.kit.keys import SigningKey
from tongban.tlog import cosignature
from tongban.tlog.checkpoint import Checkpoint, key_hash, sign, verifier_key
from tongban.tlog.day_tree import NOBODY, Leaf, Look, joined, leaf_of, person
from tongban.tlog.entry import frame, make, together
from tongban.tlog.persons import person_leaf, persons_root
from tongban.tlog.pseudonym import pseudonym, unspelt
from tongban.tlog.tile import ENTRIES, Tile, bundle, hashes
from tongban.tlog.tree import Tree, leaf_hash

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "log.md"
HEADING = "## 13. Vectors\n"

SALT = bytes(range(32))
SUBJECT_KEY = bytes(range(32, 64))
BATCH_SALT = bytes(range(64, 96))
SEED = hashlib.sha256(b"tongban/vector").digest()
ORIGIN = "11990100TB000001XB/civil-affairs"
RECORD = {"status": 200, "at": "2014-06-09T04:00:00Z", "purpose": "小客车指标摇号", "fields": ["status"]}
KEYS = hashlib.sha256(b"key column").hexdigest()
WITNESS, SEEN = "11990100TB0000028B.witness.1", 1402286400
ACT = {
    "at": "2014-06-09T04:00:00Z", "operator": "T-0001", "system": "department systems", "round": "2014-06",
    "stage": "opened", "digest": KEYS, "evaluated": "2014-06-08",
}  # fmt: skip
PERSONS = [("citizen", "990101197908159023", 0x40), ("citizen", "990101198002299016", 0x85)]


def tree() -> str:
    grown, rows = Tree(), []
    for size in range(8):
        rows.append(f"| {size} | `{grown.root().hex()}` |")
        grown.append(leaf_hash(f"leaf {size}".encode()))
    table = "\n".join(rows)
    inclusion = "\n".join(node.hex() for node in grown.inclusion_proof(4, 7))
    consistency = "\n".join(node.hex() for node in grown.consistency_proof(3, 7))
    return f"""**Tree.** The leaves are the texts `leaf 0`, `leaf 1`, ….

| leaves | root |
| --- | --- |
{table}

Inclusion proof of index 4 at size 7:

```
{inclusion}
```

Consistency proof from size 3 to size 7:

```
{consistency}
```
"""


def tiles() -> str:
    leaves = [f"leaf {number}".encode() for number in range(3)]
    held = Tree()
    held.extend(b"".join(map(leaf_hash, leaves)))
    entries, level = Tile(ENTRIES, 0, 3), Tile(0, 0, 3)
    return f"""**Tiles** of the log of the first three, `{entries.path}` and `{level.path}`, hexadecimal:

```
{_lines(bundle(leaves).hex())}
```

```
{_lines(hashes(held, level).hex())}
```
"""


def entry() -> str:
    leaf, salted = make({"kind": "call", "n": 1}, RECORD, SALT)
    batch, _ = make({"kind": "batch", "n": 2}, RECORD | {"keys": KEYS}, SALT)
    act, _ = make({"kind": "act", "n": 0}, ACT, SALT)
    public, _ = make({"kind": "directory", "body": {"version": 7, "digest": KEYS}}, None, b"")
    return f"""**Entry.** Salt: the bytes 0x00 to 0x1f. Record, leaf and leaf hash of a `call`:

```
{canonical.encode(RECORD).decode()}
{leaf.decode()}
{leaf_hash(leaf).hex()}
```

A `batch` whose record also has `"keys":"{KEYS}"`, and a `directory`:

```
{batch.decode()}
{public.decode()}
```

Record and leaf of an `act`:

```
{canonical.encode(ACT).decode()}
{act.decode()}
```

Frame of that `call` with the sealed bytes `sealed`, hexadecimal:

```
{_lines(frame(leaf, salted, b"sealed").hex())}
```

Its first 12 bytes, where it was written in one append with the entry before it:

```
{together(frame(leaf, salted, b"sealed"))[0].hex()}
```
"""


def persons() -> str:
    named = [(pseudonym(SUBJECT_KEY, domain, key), verdict) for domain, key, verdict in PERSONS]
    rows = "\n".join(
        f"| `{key}` | `{name}` | 0x{verdict:02x} | `{person_leaf(BATCH_SALT, name, verdict).hex()}` |"
        for (_, key, _), (name, verdict) in zip(PERSONS, named, strict=True)
    )
    return f"""**Persons.** Subject key: the bytes 0x20 to 0x3f. Batch salt: the bytes 0x40 to 0x5f. Domain `citizen`.

| key | pseudonym | verdict byte | leaf |
| --- | --- | --- | --- |
{rows}

Root of the two: `{persons_root(BATCH_SALT, named).hex()}`
"""


def day() -> str:
    named = [(name, unspelt(SUBJECT_KEY, domain, key)) for name, (domain, key, _) in zip("AB", PERSONS, strict=True)]
    looks = {
        "A": [Look(bytes([n] * 32)) for n in (1, 2)],
        "B": [Look(bytes([2] * 32))],
        "nobody": [Look(bytes([3] * 32), 3)],
    }
    made: list[tuple[str, Leaf]] = []
    for name, raw in [*named, ("nobody", NOBODY)]:
        made.append((name, leaf_of(person(SALT, raw), looks[name])))
    made.sort(key=lambda one: one[1].name)
    rows = "\n".join(
        f"| {name} | `{leaf.name.hex()}` | {leaf.count} | `{leaf.head.hex()}` | `{leaf.hashed().hex()}` |"
        for name, leaf in made
    )
    one, two, three = (leaf for _, leaf in made)
    left = joined(one.hashed(), one.count, two.name, two.hashed(), two.count)
    root = joined(left, one.count + two.count, three.name, three.hashed(), three.count)
    return f"""**Day.** Salt of the day: the bytes 0x00 to 0x1f. The two persons above are A and B; A was looked at
by the entries whose leaf hashes are 32 times 0x01 and 32 times 0x02, B by the latter, nobody three times by 0x03.

| who | name | count | head | leaf hash |
| --- | --- | --- | --- | --- |
{rows}

Left node, then root, of the sum {one.count + two.count + three.count}:

```
{left.hex()}
{root.hex()}
```
"""


def checkpoint() -> str:
    key = SigningKey("vector", SEED)
    note = sign(Checkpoint(ORIGIN, 7, bytes(range(32))), key)
    return f"""**Checkpoint.** Seed of the Ed25519 key: SHA-256 of `tongban/vector`.
Public key, key hash, and the key as C2SP tools take it:

```
{key.public.public.hex()}
{key_hash(ORIGIN, key.public).hex()}
{verifier_key(ORIGIN, key.public)}
```

Size 7, root the bytes 0x00 to 0x1f:

```
{note.decode()}```
"""


def cosigned() -> str:
    key = SigningKey(WITNESS, hashlib.sha256(WITNESS.encode()).digest())
    text = Checkpoint(ORIGIN, 7, bytes(range(32))).text()
    line = cosignature.cosign(text, WITNESS, key, SEEN)
    return f"""**Cosignature** of that checkpoint at {SEEN}, by the witness `{WITNESS}`.
Its key's seed is the SHA-256 of its name. Public key, key hash, and the key as C2SP tools take it:

```
{key.public.public.hex()}
{cosignature.key_hash(WITNESS, key.public).hex()}
{cosignature.verifier_key(WITNESS, key.public)}
```

Signed bytes:

```
cosignature/v1
time {SEEN}
{text.decode()}```

Line:

```
{line.decode()}```

Path at the witness: `/witnessed/{hashlib.sha256(ORIGIN.encode()).hexdigest()}`
"""


def section() -> str:
    return "\n".join((HEADING, tree(), tiles(), entry(), persons(), day(), checkpoint(), cosigned()))


def _lines(text: str) -> str:
    return "\n".join(text[at : at + 96] for at in range(0, len(text), 96))


if __name__ == "__main__":
    before = PAGE.read_text(encoding="utf-8").partition(HEADING)[0].rstrip("\n")
    PAGE.write_text(f"{before}\n\n{section()}", encoding="utf-8")
