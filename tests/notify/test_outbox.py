"""Messages wait in the outbox until a channel has taken them: once, again after a failure, and not for ever."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from perfsvc import notify, pipeline
from perfsvc.notify.outbox import FIRST_WAIT, LONGEST_WAIT, MAX_TRIES
from perfsvc.store import queries, writes
from tests.bench import NOON, Bench


@dataclass
class Post:
    """A channel that fails so many times first."""

    failures: int = 0
    name: str = "post"
    took: list[str] = field(default_factory=list)

    def send(self, message: notify.Message, at: datetime) -> None:
        if self.failures > 0:
            self.failures -= 1
            raise ConnectionError("no route")
        self.took.append(message.title)


def put(bench: Bench, title: str = "slow", channel: str = "post") -> bool:
    payload = notify.Message(title, "body").payload()
    with bench.store.writing() as tx:
        return writes.outbox.add_notification(tx, bench.project, channel, title, payload, NOON)


def send(bench: Bench, post: Post, at: datetime = NOON) -> int:
    return pipeline.send(bench.store, bench.settings, at, [post])


def waiting(bench: Bench) -> list[datetime | None]:
    with bench.store.reading() as tx:
        return [row.next_at for row in queries.notifications(tx, bench.project)]


def test_a_message_leaves_once(stored_bench: Bench) -> None:
    put(stored_bench)
    post = Post()
    assert [send(stored_bench, post), send(stored_bench, post)] == [1, 0]
    assert post.took == ["slow"]


def test_a_message_with_a_known_key_is_not_put_again(stored_bench: Bench) -> None:
    assert [put(stored_bench), put(stored_bench)] == [True, False]


def test_a_message_that_did_not_leave_is_tried_again_later(stored_bench: Bench) -> None:
    put(stored_bench)
    post = Post(failures=1)
    assert send(stored_bench, post) == 0
    assert waiting(stored_bench) == [NOON + FIRST_WAIT]
    assert send(stored_bench, post, NOON + FIRST_WAIT / 2) == 0
    assert send(stored_bench, post, NOON + FIRST_WAIT) == 1
    assert post.took == ["slow"]


def test_one_that_fails_holds_up_no_other(bench: Bench) -> None:
    put(bench, "first")
    put(bench, "second")
    post = Post(failures=1)
    assert send(bench, post) == 1
    assert post.took == ["second"]


def test_it_gives_up_loudly(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    put(bench)
    post, at = Post(failures=100), NOON
    with caplog.at_level(logging.ERROR):
        for _ in range(MAX_TRIES + 3):
            send(bench, post, at)
            at += LONGEST_WAIT
    assert post.failures == 100 - MAX_TRIES
    with bench.store.reading() as tx:
        (row,) = queries.notifications(tx, bench.project, given_up=True)
    assert (row.tries, row.error) == (MAX_TRIES, "ConnectionError: no route")
    assert [r.message for r in caplog.records] == [
        f"gave up on message {row.id} to post after {MAX_TRIES} tries: slow (ConnectionError: no route)"
    ]


def test_a_channel_that_is_not_there_is_named(bench: Bench) -> None:
    put(bench, channel="pager")
    assert send(bench, Post()) == 0
    with bench.store.reading() as tx:
        (row,) = queries.notifications(tx)
    assert "no channel is called 'pager'; there are: post" in row.error


def test_what_another_sender_has_taken_is_left_to_it(stored_bench: Bench) -> None:
    put(stored_bench)
    with stored_bench.store.writing() as tx:
        (row,) = queries.due_notifications(tx, NOON)
        assert writes.outbox.begin_sending(tx, row.id, row.tries, NOON + notify.SENDING)
        assert not writes.outbox.begin_sending(tx, row.id, row.tries, NOON + notify.SENDING)
    assert send(stored_bench, Post()) == 0
    with stored_bench.store.reading() as tx:
        assert queries.due_notifications(tx, NOON) == []


def test_what_a_dead_sender_had_taken_is_sent(bench: Bench) -> None:
    put(bench)
    with bench.store.writing() as tx:
        writes.outbox.begin_sending(tx, 1, 0, NOON + notify.SENDING)
    assert send(bench, Post(), NOON + notify.SENDING) == 1


def test_waits_double_up_to_an_hour() -> None:
    waits = [notify.retry_at(tries, NOON) for tries in range(1, MAX_TRIES)]
    assert [w - NOON for w in waits if w] == [
        min(timedelta(seconds=30 * 2**n), timedelta(hours=1)) for n in range(MAX_TRIES - 1)
    ]
    assert notify.retry_at(MAX_TRIES, NOON) is None


def test_the_log_file_has_what_was_sent_and_is_its_owners_alone(tmp_path: Path) -> None:
    log = notify.LogFile(tmp_path / "new" / "alerts.log")
    log.send(notify.Message("[attention] slower", "by much"), NOON)
    log.send(notify.Message("[attention] recovered", "again"), NOON)
    assert log.path.read_text().startswith("2026-03-01T12:00:00+00:00 [attention] slower\nby much\n\n2026-")
    assert log.path.stat().st_mode & 0o777 == 0o600


def test_without_channels_messages_go_to_the_log_file(bench: Bench) -> None:
    put(bench, channel="log-file")
    assert pipeline.send(bench.store, bench.settings, NOON) == 1
    assert "slow" in bench.settings.alert_log.read_text()
