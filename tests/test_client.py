"""Three lines of a CI job, against a real server; and what they say when it does not go well."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2 as httpx
import pytest
import uvicorn

from perfsvc import tokens
from perfsvc.api import build
from perfsvc.client import PAUSES, Client, Refused
from perfsvc.formats import read
from perfsvc.model import RunReport
from perfsvc.store import Store, queries, writes
from perfsvc.tokens import Scope
from tests.bench import NOON, Bench

TREE = Path(__file__).parent / "data" / "asv" / "2" / "toy"
TOKEN = "perfsvc_of_a_job"


@pytest.fixture
def bench(sqlite_store: Store, tmp_path: Path, clean_environment: None) -> Bench:
    bench = Bench.set_up(sqlite_store, tmp_path, commits=0)
    with bench.store.writing() as tx:
        writes.tokens.add_token(
            tx, "job", tokens.digest(TOKEN), [Scope.INGEST], project_id=None, expires_at=None, now=NOON
        )
    return bench


@pytest.fixture
def address(bench: Bench) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(build(bench.store, bench.settings), port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        pass
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


def test_a_tree_is_sent_whole_and_sending_it_again_changes_nothing(address: str, bench: Bench) -> None:
    runs = [each for each in read(TREE) if isinstance(each, RunReport)]
    with Client(address, TOKEN) as perf:
        first, second = perf.push("attention", TREE), perf.push("attention", TREE)
    assert (first.new, first.unchanged) == (len(runs), 0)
    assert (second.new, second.unchanged) == (0, len(runs))
    with bench.store.reading() as tx:
        kept = queries.runs(tx, bench.project, limit=1000)
        assert sorted(run.commit.hash for run in kept) == sorted(run.commit.hash for run in runs)
        points = sum(len(queries.points(tx, row.id)) for row in queries.series(tx, bench.project))
    assert points == sum(len(run.measurements) + len(run.skips) for run in runs)


def test_a_refusal_says_why(address: str) -> None:
    with Client(address, "perfsvc_nobody") as perf, pytest.raises(Refused, match="401 this token is not known"):
        perf.push("attention", TREE)
    with Client(address, TOKEN) as perf, pytest.raises(Refused, match="404 NotFound: there is no project 'other'"):
        perf.push("other", TREE)


@pytest.fixture
def run() -> RunReport:
    return next(each for each in read(TREE) if isinstance(each, RunReport))


Answer = Callable[[httpx.Request], httpx.Response]


def tried(answers: list[Answer], run: RunReport) -> tuple[list[float], Callable[[], bool]]:
    waited: list[float] = []
    left = iter(answers)
    transport = httpx.MockTransport(lambda request: next(left)(request))
    perf = Client("https://perf.example.org", TOKEN, transport=transport, sleep=waited.append)
    return waited, lambda: perf.push_run("attention", run)


def away(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("no route")


def busy(request: httpx.Request) -> httpx.Response:
    return httpx.Response(429, headers={"Retry-After": "7"}, json={"title": "more than 1200"})


def kept(request: httpx.Request) -> httpx.Response:
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    return httpx.Response(201, json={"new": True})


def gateway(request: httpx.Request) -> httpx.Response:
    return httpx.Response(502, text="<h1>Bad Gateway</h1>")


def test_a_service_that_is_restarted_is_waited_for(run: RunReport) -> None:
    waited, push = tried([away, busy, gateway, kept], run)
    assert push()
    assert waited == [PAUSES[0], PAUSES[1], 7.0, PAUSES[2], 0.0, PAUSES[3]]


def test_one_that_stays_away_is_told_with_its_last_words(run: RunReport) -> None:
    _, push = tried([away] * len(PAUSES), run)
    with pytest.raises(Refused, match=r"perf\.example\.org.*ConnectError: no route"):
        push()
    _, push = tried([gateway] * len(PAUSES), run)
    with pytest.raises(Refused, match="502 <h1>Bad Gateway"):
        push()


def test_what_is_wrong_is_not_sent_again(run: RunReport) -> None:
    waited, push = tried(
        [lambda _: httpx.Response(400, json={"title": "ResultFormatError", "detail": "machine: "})], run
    )
    with pytest.raises(Refused, match="400 ResultFormatError: machine: "):
        push()
    assert len(waited) == 1


@pytest.mark.parametrize("url", ["http://perf.example.org", "ftp://127.0.0.1", "perf.example.org", "https://", ""])
def test_a_token_is_not_shown_on_the_way(url: str) -> None:
    with pytest.raises(Refused, match="wanted https"):
        Client(url, TOKEN)
