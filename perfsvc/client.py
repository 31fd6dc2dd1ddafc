"""Send results to a service from elsewhere, as from a CI job, in three lines:

    from perfsvc.client import Client
    with Client("https://perf.example.org", token) as perf:
        perf.push("attention", ".asv/results")

Whatever `perfsvc ingest` reads is read here, and sent a run at a time; sending again changes nothing.
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx2 as httpx

from perfsvc.errors import PerfsvcError
from perfsvc.formats import read, report
from perfsvc.hosts import is_loopback
from perfsvc.model import Complaint, RunReport

#: Seconds before each try: a service that is restarted is back by the last one.
PAUSES = (0.0, 1.0, 4.0, 16.0)
#: A service that asks for more patience is not waited for.
LONGEST_PAUSE = 120.0
_AGAIN = (429, 502, 503, 504)


class Refused(PerfsvcError):
    """The service said no, or did not answer."""


@dataclass(slots=True)
class Pushed:
    """What became of what was sent."""

    new: int = 0
    unchanged: int = 0
    complaints: list[Complaint] = field(default_factory=list)  #: what could not be read here; the rest went in


class Client:
    """One service, one token. Raises: Refused when the address would show the token to everybody on the way."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout: float = 60.0,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Refused(f"{url!r} is no address; wanted https://... (or http:// on this machine)")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise Refused(f"{url}: http would show the token to everybody on the way; wanted https")
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Content-Encoding": "gzip"}
        self._sleep = sleep
        self._http = httpx.Client(base_url=url.rstrip("/"), headers=headers, timeout=timeout, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def push(self, project: str, path: str | Path, *, format: str = "auto") -> Pushed:
        """Send every run that a path holds. Raises: Refused; ResultFormatError when nothing there can be read."""
        done = Pushed()
        for each in read(Path(path), format, naming=None):  # the service knows the project's rules
            if isinstance(each, Complaint):
                done.complaints.append(each)
            elif self.push_run(project, each):
                done.new += 1
            else:
                done.unchanged += 1
        return done

    def push_run(self, project: str, run: RunReport) -> bool:
        """Send one run; False when the service had it already. Raises: Refused."""
        told = self._post("/api/v1/reports", {"project": project}, gzip.compress(report.write(run), mtime=0))
        return bool(told["new"])

    def _post(self, path: str, params: dict[str, str], body: bytes) -> Any:
        said = ""
        for pause in PAUSES:
            self._sleep(pause)
            try:
                answer = self._http.post(path, params=params, content=body)
            except httpx.TransportError as error:
                said = f"{type(error).__name__}: {error}"
                continue
            if answer.status_code in (200, 201):
                return answer.json()
            said = _said(answer)
            if answer.status_code not in _AGAIN:
                break
            self._sleep(_asked_for(answer))
        raise Refused(f"{self._http.base_url}: {said}")


def _said(answer: httpx.Response) -> str:
    """What a problem says of itself, or whoever answered instead of the service."""
    try:
        problem = answer.json()
        words = [str(problem[key]) for key in ("title", "detail") if problem.get(key)]
    except (ValueError, TypeError, AttributeError):
        words = [answer.text[:200]]
    return f"{answer.status_code} {': '.join(words)}"


def _asked_for(answer: httpx.Response) -> float:
    """Seconds that the service wants to be left alone."""
    told = answer.headers.get("Retry-After", "")
    return min(float(told), LONGEST_PAUSE) if told.isdigit() else 0.0
