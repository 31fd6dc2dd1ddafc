"""Ways to other people's places: whatever Apprise reaches (mail, chat, and the rest), and a signed webhook of our own.

An address is a secret: no error, log or command shows it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

from perfsvc.errors import PerfsvcError, SettingsError
from perfsvc.notify.channels import LogFile
from perfsvc.notify.message import Message
from perfsvc.notify.outbox import Channel
from perfsvc.settings import Settings

if TYPE_CHECKING:  # a quarter of a second that every command would pay, for the few that send
    import httpx2 as httpx
    from apprise import Apprise

#: Seconds for one message, to one place.
PATIENCE = 20.0
WEBHOOK = "webhook+"
SIGNATURE = "X-Perfsvc-Signature"
#: Grows when a field of the webhook's document changes its meaning or goes.
VERSION = 1


class NotTaken(PerfsvcError):
    """A place did not take a message."""


@dataclass(frozen=True, slots=True)
class Service:
    """A place that Apprise reaches; each has an Apprise of its own, so that a retry never repeats the others."""

    name: str
    _apprise: Apprise

    def send(self, message: Message, at: datetime) -> None:
        """Raises: NotTaken."""
        answer = self._apprise.notify(
            body=_quiet(message.body), title=_quiet(message.title), body_format="text", timeout=PATIENCE
        )
        if not answer:
            raise NotTaken(f"{self.name}: the service did not take the message")


@dataclass(frozen=True, slots=True)
class Webhook:
    """POSTs JSON, signed with the secret of its address (`webhook+https://:SECRET@host/path`)."""

    name: str
    _url: str
    _secret: bytes
    transport: httpx.BaseTransport | None = None

    def send(self, message: Message, at: datetime) -> None:
        """Raises: NotTaken for whatever is not 2xx; redirects are not followed."""
        import httpx2 as httpx

        told = {"version": VERSION, "at": at.isoformat(), **message.payload()}
        body = json.dumps(told, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json", SIGNATURE: sign(self._secret, body)}
        try:
            with httpx.Client(timeout=PATIENCE, transport=self.transport) as http:
                answer = http.post(self._url, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise NotTaken(f"{self.name}: {type(error).__name__}") from None  # its text may show the address
        if not answer.is_success:
            raise NotTaken(f"{self.name}: answered {answer.status_code}")


def sign(secret: bytes, body: bytes) -> str:
    """What a receiver compares with: `sha256=` and the HMAC in hexadecimal."""
    return f"sha256={hmac.new(secret, body, hashlib.sha256).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Misnamed:
    """A target whose address nobody understands: its messages wait and are given up, the others' leave."""

    name: str
    reason: str

    def send(self, message: Message, at: datetime) -> None:
        """Raises: SettingsError, always."""
        raise SettingsError(f"PERFSVC_TARGETS: {self.name}: {self.reason}")


def channels(settings: Settings) -> list[Channel]:
    """The log file and every target of this machine."""
    targets = (_target(name, address.get_secret_value()) for name, address in settings.targets.items())
    return [LogFile(settings.alert_log), *targets]


def _target(name: str, address: str) -> Channel:
    if not address.startswith(WEBHOOK):
        from apprise import Apprise

        apprise = Apprise()
        if not apprise.add(address):
            return Misnamed(name, "is no address that Apprise knows; wanted one as in its documentation")
        return Service(name, apprise)
    parts = urlsplit(address.removeprefix(WEBHOOK))
    if parts.scheme not in ("http", "https") or not parts.hostname or not parts.password:
        return Misnamed(name, f"wanted {WEBHOOK}https://:SECRET@host/path")
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    return Webhook(name, urlunsplit(bare), unquote(parts.password).encode())


def _quiet(text: str) -> str:
    """Names from a measured repository call nobody: `@everyone` is text."""
    return text.replace("@", "@\u200b")
