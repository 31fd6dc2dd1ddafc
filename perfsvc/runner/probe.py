"""Prints what it finds around itself. Started with the python of the environment that measures.

A script that `fingerprint` starts by its path, not a module of the service: that python has no perfsvc.
"""

import importlib.util
import json
import platform
import sys
from importlib import metadata
from typing import Any


def packages() -> "dict[str, str]":
    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name:
            found.setdefault(name.lower().replace("_", "-"), distribution.version)
    return dict(sorted(found.items()))


def torch_facts() -> "dict[str, Any] | None":
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    facts: dict[str, Any] = {
        "version": torch.__version__,
        "git": torch.version.git_version,
        "cuda": torch.version.cuda,
        "hip": getattr(torch.version, "hip", None),
        "threads": torch.get_num_threads(),
        "config": [
            line.strip(" -")
            for line in torch.__config__.show().splitlines()
            if line.strip() and "Build settings" not in line  # two pages of compiler flags; `git` names them as well
        ],
    }
    if hasattr(torch.backends, "cpu"):
        facts["cpu_capability"] = torch.backends.cpu.get_cpu_capability()
    if getattr(torch.backends, "mps", None) is not None:
        facts["mps"] = torch.backends.mps.is_available()
    if torch.version.cuda and torch.cuda.is_available():
        facts["cudnn"] = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
        facts["gpus"] = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return facts


def facts() -> "dict[str, Any]":
    found: dict[str, Any] = {
        "python": {
            "version": platform.python_version(),
            "implementation": platform.python_implementation(),
            "compiler": platform.python_compiler(),
            "build": list(platform.python_build()),
        },
        "packages": packages(),
    }
    try:
        found["torch"] = torch_facts()
    except Exception as error:  # a torch that cannot be imported is a finding, not the end
        found["torch"] = {"broken": f"{type(error).__name__}: {error}"}
    return found


if __name__ == "__main__":
    json.dump(facts(), sys.stdout)
