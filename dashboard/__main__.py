"""`python -m dashboard [--host H] [--port P]`: the pages alone, as in a container of their own."""

import argparse
import os

from dashboard import command

parser = argparse.ArgumentParser(prog="python -m dashboard", description=__doc__)
parser.add_argument("--host", default="127.0.0.1")
parser.add_argument("--port", type=int, default=8643)
chosen = parser.parse_args()
start = command(port=chosen.port, host=chosen.host)
os.execv(start[0], start)  # noqa: S606  an argument list, no shell: this process becomes the server
