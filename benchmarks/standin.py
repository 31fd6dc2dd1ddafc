"""A file of the suite that cannot be imported becomes one failing benchmark that says why; the others are measured.

asv would end with the first error, and measure nothing.
"""

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import NoReturn


class NotImported(RuntimeError):
    """A file of the suite cannot be imported. The message says which, and why."""


def import_all(package: str, folders: Sequence[str]) -> None:
    """Import every module of a package. What fails is stood in for, under its own name, by `track_import`."""
    reasons: dict[str | None, str] = {}
    for found in iter_modules(folders, f"{package}."):
        try:
            import_module(found.name)
        except Exception as error:
            # Who wants something of a file that was stood in for fails for that one's reason.
            cause = error.name if isinstance(error, ImportError) else None
            reasons[found.name] = reasons.get(cause, f"{found.name}: {type(error).__name__}: {error}")
            sys.modules[found.name] = ModuleType(found.name)
            sys.modules[found.name].__dict__["track_import"] = _failing(reasons[found.name])


def _failing(reason: str) -> Callable[[], NoReturn]:
    def track_import() -> NoReturn:
        raise NotImported(reason)

    track_import.__dict__["version"] = "1"
    return track_import
