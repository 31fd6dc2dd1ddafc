"""asv.conf.json: read the project's, write the one that measures one commit's tree."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

from perfsvc.errors import RunnerError
from perfsvc.model import Device

NAMES = ("asv.conf.json", "asv.conf.jsonc")


def load(folder: Path) -> dict[str, Any]:
    """The project's configuration, with comments and trailing commas as asv allows them.

    Raises: RunnerError when there is none, or it cannot be read.
    """
    from asv.util import UserError, load_json

    path = next((folder / name for name in NAMES if (folder / name).is_file()), None)
    if path is None:
        raise RunnerError(f"{folder}: no asv.conf.json; `asv quickstart` writes one")
    try:
        conf = load_json(str(path), api_version=1, js_comments=True)
    except (UserError, ValueError) as error:
        raise RunnerError(f"{path}: {error}") from None
    if not isinstance(conf, dict):
        raise RunnerError(f"{path}: is a {type(conf).__name__}, wanted an object")
    return conf


def suite_folder(conf: dict[str, Any], folder: Path) -> Path:
    """Where the benchmarks lie. Raises: RunnerError when there are none, or they lie outside the project's folder."""
    named = Path(str(conf.get("benchmark_dir", "benchmarks")))
    path = folder / named
    if named.is_absolute() or ".." in named.parts or named == Path():
        raise RunnerError(f"{folder}: asv.conf.json has benchmark_dir {str(named)!r}; wanted a folder below its own")
    if not (path / "__init__.py").is_file():
        raise RunnerError(f"{path}: no __init__.py; wanted the folder of benchmarks that asv.conf.json names")
    return path


def write(conf: dict[str, Any], *, suite: Path, mirror: Path, commit: str, scratch: Path) -> Path:
    """A configuration of our own: the mirror as repository, results and all else in `scratch`, no matrix, no builds."""
    told = {
        "version": 1,
        "project": conf.get("project", "project"),
        "repo": str(mirror),
        "dvcs": "git",
        "branches": [commit],
        "environment_type": "existing",
        "benchmark_dir": str(suite),
        "default_benchmark_timeout": conf.get("default_benchmark_timeout", 60),
        "env_dir": str(scratch / "env"),
        "results_dir": str(scratch / "results"),
        "html_dir": str(scratch / "html"),
    }
    path = scratch / "asv.conf.json"
    path.write_text(json.dumps(told, indent=1), encoding="utf-8")
    return path


def launch_method(chosen: str, device: Device) -> str:
    """A fork server saves each process its imports, but neither CUDA nor Metal survives a fork."""
    if chosen != "auto":
        return chosen
    return "forkserver" if device is Device.CPU and platform.system() == "Linux" else "spawn"
