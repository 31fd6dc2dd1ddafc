"""`python -m perfsvc.api`: the API alone, as in a container of its own."""

from __future__ import annotations

import sys

import uvicorn

from perfsvc.api.app import build
from perfsvc.doctoring import require_free
from perfsvc.errors import PerfsvcError
from perfsvc.settings import Settings
from perfsvc.store import Store


def main() -> None:
    """Serve until a signal comes. Exit 2 for what people can mend: a port in use, a database of another version."""
    try:
        found = Settings.load(None)
        store = Store.open(found.database)
        app = build(store, found)
        require_free(found.host, found.api_port, "PERFSVC_API_PORT")
    except PerfsvcError as error:
        sys.stderr.write(f"perfsvc: {error}\n")
        sys.exit(error.exit_code)
    uvicorn.run(app, host=found.host, port=found.api_port, log_level="warning", access_log=False)
    store.close()


if __name__ == "__main__":
    main()
