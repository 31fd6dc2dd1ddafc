"""The environment variables that guards and benchmarks see. They are chosen, not inherited: what a shell happens to
export would move numbers between runs, and the service's secrets are none of a benchmark's business.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from perfsvc.model import Device

#: Passed on from the runner's own environment: finding programs and folders, and choosing allocator, threads, device.
PASSED_ON = frozenset({"PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LANG", "LC_ALL", "LC_CTYPE", "CC", "CXX"})
PASSED_ON_PREFIXES = (
    *("LD_", "DYLD_", "MALLOC_", "GLIBC_", "XDG_CACHE", "OMP_", "MKL_", "KMP_", "OPENBLAS_", "GOMP_", "VECLIB_"),
    *("PYTORCH_", "TORCH_", "TORCHINDUCTOR_", "TRITON_", "CUDA_", "CUBLAS_", "NVIDIA_", "METAL_", "MTL_"),
)
FIXED = {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "COLUMNS": "200", "PYTHONNOUSERSITE": "1"}


def suite_variables(device: Device, grid: str, chosen: Mapping[str, str], conf: Mapping[str, Any]) -> dict[str, str]:
    """What every commit is measured with. `chosen` (perfsvc.toml) overrules asv.conf.json's, which overrules ours."""
    inherited = {name: value for name, value in os.environ.items() if _passed_on(name)}
    told = {"PERFSVC_DEVICE": str(device), "PERFSVC_GRID": grid}
    return {**inherited, **FIXED, **matrix_variables(conf), **chosen, **told}


def installer_variables() -> dict[str, str]:
    """For venv and pip: all, so that the user's indexes, proxies and certificates hold; nothing of Python's own."""
    ours = ("PYTHON", "PERFSVC_", "VIRTUAL_ENV", "__PYVENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "PIP_USER": "false", "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def matrix_variables(conf: Mapping[str, Any]) -> dict[str, str]:
    """The variables of asv.conf.json's matrix, `env` and `env_nobuild`: of several values the first."""
    told: dict[str, str] = {}
    matrix = conf.get("matrix") or {}
    for table in ("env", "env_nobuild"):
        for name, values in (matrix.get(table) or {}).items():
            first = values[0] if isinstance(values, list) and values else values
            if isinstance(first, str):
                told[name] = first
    return told


def _passed_on(name: str) -> bool:
    return name in PASSED_ON or name.startswith(PASSED_ON_PREFIXES)
