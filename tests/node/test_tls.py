"""TLS: the directory names the certificate itself, so no authority is asked and no other certificate will do."""

import hashlib
import http.client
import re
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.node.asking import Asker, send_on
from tests.node.conftest import free_ports
from tests.node.place import CONSUMER, PROVIDER, Place, grant_id
from tests.node.running import Inside, NodeProcess, inside, serving, spare
from tests.node.test_door import BEARER, HEADERS, QUERY, WINDOW_SYSTEM, at_door
from tongban.exchange import listing
from tongban.kit import canonical, statement

RESOURCE, NODE = "civil_affairs/sealed", "civil-affairs-tls"


def certificate(folder: Path) -> str:
    """A self-made one, as `node.toml` names it: relative to its folder. Its SHA-256."""
    made = trustme.CA().issue_cert("127.0.0.1")
    made.private_key_pem.write_to_path(str(folder / "tls.key"))
    made.cert_chain_pems[0].write_to_path(str(folder / "tls.pem"))
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(made.cert_chain_pems[0].bytes().decode())).hexdigest()


def as_tls(text: str) -> str:
    """The same node under another name, behind TLS, answering one resource of its own."""
    text = re.sub(r'^id = ".*"$', f'id = "{NODE}"', text, flags=re.MULTILINE)
    keys = 'certificate = "tls.pem"\ncertificate_key = "tls.key"'
    text = text.replace('host = "127.0.0.1"', f'host = "127.0.0.1"\n{keys}')
    return f"""{text}
[resource."{RESOURCE}"]
register = "persons"
point = "SELECT document_type, status FROM persons WHERE id_number = :key"
fields = ["status"]
"""


@pytest.fixture(scope="module")
def node(place: Place) -> Iterator[NodeProcess]:
    port = free_ports([NODE])[NODE]
    one = spare(place, "tls", toml=lambda text: as_tls(text).replace("port = 0", f"port = {port}"), start=False)
    digest = certificate(one.folder)
    place.put(
        listed(place, port, digest),
        place.resource(RESOURCE, ["status"], node=NODE),
        place.grant("sealed", node=NODE, resource=RESOURCE, fields=["status"]),
    )
    with serving(one.start()):
        yield one


def listed(place: Place, port: int, digest: str | None, scheme: str = "https") -> statement.Statement:
    member = place.member(PROVIDER)
    body = listing.compose(
        "node", id=NODE, member=member, address=f"{scheme}://127.0.0.1:{port}", certificate=digest,
        origin=f"{member}/{NODE}",
    )  # fmt: skip
    return statement.sign(body, place.office(PROVIDER).root)


@pytest.fixture(scope="module")
def desk(place: Place, node: NodeProcess) -> Iterator[Inside]:
    """Transport's node with a window that knocks with a token."""
    with inside(place, "twin-tls-door", CONSUMER, toml=lambda text: text + WINDOW_SYSTEM) as found:
        yield found


def asked(desk: Inside) -> tuple[int, str]:
    headers = {**HEADERS, **BEARER, "tongban-grant": grant_id("sealed")}
    got = at_door(desk, "/call/query", ("127.0.0.1", 1), canonical.encode(QUERY), **headers)
    return got.status, got.code


def test_a_node_answers_over_tls_with_the_certificate_that_the_directory_names(desk: Inside) -> None:
    assert asked(desk) == (200, "")


def test_another_certificate_is_refused_before_anything_is_sent(desk: Inside, node: NodeProcess, place: Place) -> None:
    size = node.size()
    for wrong in (listed(place, node.port, "0" * 64), listed(place, node.port, None)):
        place.put(wrong)
        assert desk.run(desk.node.source.pull())
        requests = len(desk.records("request"))
        assert asked(desk) == (502, "exchange.no_answer")
        assert len(desk.records("request")) == requests + 1
    assert node.size() == size
    # The right one is heard of again at the next pull.
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert((node.folder / "tls.pem").read_text())).hexdigest()
    place.put(listed(place, node.port, digest))
    assert desk.run(desk.node.source.pull())
    assert asked(desk) == (200, "")


def test_a_call_in_clear_is_not_answered(node: NodeProcess, place: Place) -> None:
    asker = Asker(place)
    request = asker.query(grant="sealed", node=NODE, resource=RESOURCE)
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=20)
    with pytest.raises((OSError, http.client.HTTPException)):
        send_on(connection, request)
    connection.close()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_old_versions_of_tls_are_not_spoken(node: NodeProcess, place: Place) -> None:
    asker = Asker(place)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    connection = http.client.HTTPSConnection("127.0.0.1", node.port, context=context, timeout=20)
    request = asker.query(grant="sealed", node=NODE, resource=RESOURCE)
    got = send_on(connection, request)
    assert (got.status, connection.sock.version() in ("TLSv1.2", "TLSv1.3")) == (200, True)
    connection.close()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    connection = http.client.HTTPSConnection("127.0.0.1", node.port, context=context, timeout=20)
    with pytest.raises(OSError, match=r"(?i)ssl|protocol|alert"):
        connection.connect()


def test_off_loopback_a_node_without_tls_is_not_listed(place: Place) -> None:
    with pytest.raises(listing.EntryInvalid, match="TLS"):
        listing.compose(
            "node", id=NODE, member=place.member(PROVIDER), address="http://192.0.2.1:80", certificate=None,
            origin=f"{place.member(PROVIDER)}/{NODE}",
        )  # fmt: skip
