"""What people see: Tonight, Series, Correctness, and each alert. Decides nothing; shows what the store holds.

`command()` starts it, with the same safe defaults whatever folder one stands in.
"""

from __future__ import annotations

import sys
from pathlib import Path

from perfsvc.hosts import is_loopback

APP = Path(__file__).with_name("app.py")

#: The one place of Streamlit's settings: flags win over any config.toml that happens to lie around.
STREAMLIT_FLAGS = (
    "--server.headless=true",
    "--server.showEmailPrompt=false",
    "--server.enableXsrfProtection=true",
    "--server.enableCORS=true",
    "--server.enableAgentApi=false",
    "--server.fileWatcherType=none",
    "--server.runOnSave=false",
    "--browser.gatherUsageStats=false",
    "--client.showErrorDetails=none",
    "--client.showErrorLinks=false",
    "--client.toolbarMode=viewer",
    "--runner.magicEnabled=false",
    "--logger.level=warning",
    "--theme.light.primaryColor=#0072B2",  # not under [theme]: that would pin every reader to the light page
    "--theme.dark.primaryColor=#56B4E9",
)


def command(*, port: int, host: str = "127.0.0.1") -> list[str]:
    """What to start. On a loopback address only local names are answered, so that no foreign page can rebind to it."""
    local = ("--server.allowedHosts=localhost", "--server.allowedHosts=127.0.0.1", "--server.allowedHosts=::1")
    return [
        *(sys.executable, "-m", "streamlit", "run", str(APP)),
        *(f"--server.address={host}", f"--server.port={port}"),
        *(local if is_loopback(host) else ()),
        *STREAMLIT_FLAGS,
    ]
