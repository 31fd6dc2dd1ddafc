"""Whether torch.compile can work here: what it would find missing, said before it is asked."""

import os
import shutil
import sys
import sysconfig
from pathlib import Path

from benchmarks import devices


def lacking() -> str:
    """What torch.compile lacks on this machine and how to get it; empty when it lacks nothing."""
    compiler = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    if devices.device() != "cuda" and not shutil.which(compiler):
        return f"a C++ compiler, and there is no {compiler}: install it, or set CXX"
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        return "Python's headers (Python.h): install them (Debian: python3-dev)"
    return ""
