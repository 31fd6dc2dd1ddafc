"""Messages leave for real: to a mail server, to a web server; and what happens when these do not behave."""

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from perfsvc import notify, pipeline
from perfsvc.errors import SettingsError
from perfsvc.notify.outbox import FIRST_WAIT
from perfsvc.notify.targets import SIGNATURE, NotTaken, sign
from perfsvc.settings import Settings
from perfsvc.store import queries
from tests.bench import NOON, Bench

SECRET = "s3cret"
MESSAGE = notify.Message("[p] slower: attend", "one of 2 commits\nby @everyone <b>bold</b> *x*\n\u202eabc")


@dataclass
class Receiver:
    """A web server that answers with these statuses, then 200, and keeps what it was sent."""

    port: int = 0
    statuses: list[int] = field(default_factory=list)
    took: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"webhook+http://:{SECRET}@127.0.0.1:{self.port}/hook?team=perf"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    here = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            here.took.append(({**self.headers, "path": self.path}, body))
            self.send_response(here.statuses.pop(0) if here.statuses else 200)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    here.port = server.server_port
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield here
    server.shutdown()
    thread.join()
    server.server_close()


def settings(tmp_path: Path, **targets: str) -> Settings:
    return Settings(home=tmp_path, targets=targets)


def channel(tmp_path: Path, address: str) -> notify.Channel:
    return notify.channels(settings(tmp_path, it=address))[-1]


def test_a_webhook_is_signed_json(receiver: Receiver, tmp_path: Path) -> None:
    channel(tmp_path, receiver.address).send(MESSAGE, NOON)
    ((headers, body),) = receiver.took
    assert json.loads(body) == {"version": 1, "at": NOON.isoformat(), **MESSAGE.payload()}
    assert headers[SIGNATURE] == sign(SECRET.encode(), body)
    assert headers[SIGNATURE] != sign(b"another", body)
    assert (headers["path"], headers["Content-Type"]) == ("/hook?team=perf", "application/json")
    assert SECRET not in str(headers)


@pytest.mark.parametrize("status", [302, 400, 404, 500, 503])
def test_a_webhook_that_is_not_taken_says_so_and_shows_no_address(
    receiver: Receiver, tmp_path: Path, status: int
) -> None:
    receiver.statuses = [status]
    with pytest.raises(NotTaken, match=f"^it: answered {status}$"):
        channel(tmp_path, receiver.address).send(MESSAGE, NOON)
    assert len(receiver.took) == 1  # nobody is led elsewhere


def test_a_place_that_is_not_there_says_so_and_shows_no_address(tmp_path: Path) -> None:
    for address in (f"webhook+http://:{SECRET}@127.0.0.1:9/hook", f"json://user:{SECRET}@127.0.0.1:9/"):
        with pytest.raises(NotTaken) as error:
            channel(tmp_path, address).send(MESSAGE, NOON)
        assert SECRET not in str(error.value)


def test_mail_arrives_as_it_was_written_and_calls_nobody(tmp_path: Path) -> None:
    class Mailbox:
        def __init__(self) -> None:
            self.took: list[bytes] = []

        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  aiosmtpd's name
            self.took.append(envelope.content)
            return "250 OK"

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    mailbox = Mailbox()
    server = Controller(mailbox, hostname="127.0.0.1", port=port)
    server.start()
    try:
        address = f"mailto://127.0.0.1:{port}/?from=perf@example.org&to=team@example.org&mode=insecure"
        channel(tmp_path, address).send(MESSAGE, NOON)
    finally:
        server.stop()
    (raw,) = mailbox.took
    mail = message_from_bytes(raw, policy=default)
    assert (mail["subject"], mail["to"]) == (MESSAGE.title, "team@example.org")
    text = mail.get_body(("plain",))
    assert text is not None
    said = text.get_content()
    assert "one of 2 commits" in said
    assert "<b>bold</b> *x*" in said
    assert "@everyone" not in said


def test_an_alert_goes_to_every_target_and_to_each_once(bench: Bench, receiver: Receiver, tmp_path: Path) -> None:
    told = settings(tmp_path, team=receiver.address, other=receiver.address)
    receiver.statuses = [503]
    for place in range(6):
        bench.run(place, {"count": 10 if place < 3 else 20})
    pipeline.process(bench.store, bench.project, told, NOON)
    assert pipeline.send(bench.store, told, NOON) == 2  # the log and one of the two
    assert pipeline.send(bench.store, told, NOON + FIRST_WAIT + timedelta(seconds=1)) == 1
    assert pipeline.send(bench.store, told, NOON + timedelta(days=1)) == 0
    assert len({body for _, body in receiver.took}) == 2  # the hours differ
    assert len(receiver.took) == 3
    with bench.store.reading() as tx:
        assert {row.channel for row in queries.notifications(tx)} == {"log-file", "team", "other"}
        assert all(row.sent_at for row in queries.notifications(tx))


def test_a_project_may_choose_who_is_told(bench: Bench, tmp_path: Path) -> None:
    chosen = Settings(home=tmp_path, targets={"team": "json://127.0.0.1:9"}, notify={"channels": ["log-file"]})
    assert chosen.channels == ["log-file"]
    assert settings(tmp_path, team="json://127.0.0.1:9").channels == ["log-file", "team"]


@pytest.mark.parametrize(
    "address",
    [
        "nonsense://x",
        "",
        "webhook+https://host/without/a/secret",
        "webhook+ftp://:s@host/",
        "webhook+https://:s@/",
        "https://:s@host/",
    ],
)
def test_an_address_that_nobody_understands_is_told_by_its_name_alone(tmp_path: Path, address: str) -> None:
    with pytest.raises(SettingsError, match="PERFSVC_TARGETS: it: ") as error:
        channel(tmp_path, address).send(MESSAGE, NOON)
    assert not address or address not in str(error.value)


def test_a_target_with_a_wrong_address_does_not_silence_the_others(bench: Bench, tmp_path: Path) -> None:
    told = settings(tmp_path, it="nonsense://x")
    for place in range(6):
        bench.run(place, {"count": 10 if place < 3 else 20})
    pipeline.process(bench.store, bench.project, told, NOON)
    assert pipeline.send(bench.store, told, NOON) == 1
    with bench.store.reading() as tx:
        (waits,) = [row for row in queries.notifications(tx) if row.channel == "it"]
    assert (waits.sent_at, "no address that Apprise knows" in waits.error) == (None, True)


def test_the_log_keeps_its_name() -> None:
    with pytest.raises(ValueError, match="log-file is the log's name"):
        Settings(targets={"log-file": "json://x"})


def test_addresses_are_printed_as_stars(tmp_path: Path) -> None:
    assert SECRET not in str(settings(tmp_path, it=f"webhook+https://:{SECRET}@host/"))
