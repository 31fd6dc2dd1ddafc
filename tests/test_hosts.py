"""Which addresses only this machine reaches."""

import pytest

from perfsvc.hosts import is_loopback


@pytest.mark.parametrize(
    ("host", "local"),
    [
        *((name, True) for name in ("localhost", "127.0.0.1", "127.8.8.8", "::1", "[::1]")),
        *((name, False) for name in ("0.0.0.0", "::", "192.0.2.1", "box", "localhost.evil.example", "")),
    ],
)
def test_only_loopback_counts_as_this_machine(host: str, local: bool) -> None:
    assert is_loopback(host) is local
