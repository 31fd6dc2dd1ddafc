"""Whether an address is this machine's own: what is free here wants a token, or a secure way, from elsewhere."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """Names other than localhost are not looked up: what they mean is not ours to say."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
