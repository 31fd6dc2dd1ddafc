"""Many rows come a page at a time; what one has already is not sent again."""

from fastapi.testclient import TestClient

from tests.bench import Bench


def walk(http: TestClient, path: str) -> list[list[int]]:
    """The ids of every page, following the links."""
    pages = []
    while path:
        answer = http.get(path)
        pages.append([row["id"] for row in answer.json()])
        path = answer.links.get("next", {}).get("url", "")
    return pages


def test_pages_hold_every_row_once_and_in_order(http: TestClient, bench: Bench) -> None:
    for place in range(7):
        bench.run(place, {f"time_{n}": 1.0 for n in range(5)})
    assert walk(http, "/api/v1/runs?project=attention&limit=3") == [[7, 6, 5], [4, 3, 2], [1]]
    assert walk(http, "/api/v1/runs?project=attention&limit=7") == [[7, 6, 5, 4, 3, 2, 1]]
    assert walk(http, "/api/v1/series?project=attention&limit=2&match=time") == [[1, 2], [3, 4], [5]]
    assert walk(http, "/api/v1/series?project=attention&machine=nobody") == [[]]


def test_what_one_has_already_is_not_sent_again(http: TestClient, bench: Bench) -> None:
    bench.run(0, {"time_a": 1.0})
    path = "/api/v1/runs?project=attention"
    first = http.get(path)
    tag = first.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}'):
        again = http.get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    bench.run(1, {"time_a": 1.0})
    changed = http.get(path, headers={"If-None-Match": tag})
    assert (changed.status_code, len(changed.json())) == (200, 2)


def test_a_limit_has_limits(http: TestClient) -> None:
    for wrong in ("limit=0", "limit=5001", "limit=many", "cursor=-1"):
        assert http.get(f"/api/v1/runs?project=attention&{wrong}").status_code == 422
