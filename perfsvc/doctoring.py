"""What is missing on this machine, and how to get it."""

from __future__ import annotations

import errno
import importlib.metadata
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from perfsvc import git, units
from perfsvc.errors import NotFound, PerfsvcError, PortInUse, SettingsError
from perfsvc.model import Device
from perfsvc.runner import asv_conf, machine
from perfsvc.settings import Settings
from perfsvc.store import Store

#: A torch environment and a night's results.
WANTED_DISK = 3 * 2**30


@dataclass(frozen=True, slots=True)
class Check:
    what: str
    ok: bool
    found: str
    remedy: str = ""
    needed: bool = True  #: False: only something that not everybody wants is missing

    @property
    def remedy_shown(self) -> str:
        return "" if self.ok or not self.remedy else f"; {self.remedy}"


def examine(folder: Path | None, settings: Settings, broken: SettingsError | None = None) -> list[Check]:
    """Every check, those first that others rest on. broken: why the project's own settings could not be read."""
    return list(_checks(folder, settings, broken))


def _checks(folder: Path | None, settings: Settings, broken: SettingsError | None) -> Iterator[Check]:
    yield Check("Python", sys.version_info >= (3, 11), sys.version.split()[0], "install Python 3.11 or newer")
    yield _program("git", "install git from your system's packages")
    for distribution, extra in (("asv", "runner"), ("streamlit", "dashboard"), ("uvicorn", "service")):
        yield _distribution(distribution, extra)
    if broken is not None:
        yield Check("settings", False, str(broken), "mend it there; until then nothing starts here")
    yield _project(folder)
    yield _disk(settings)
    yield _database(settings)
    for name, port in (("API port", settings.api_port), ("dashboard port", settings.dashboard_port)):
        yield _port(name, settings.host, port)
    warnings = machine.preflight(machine.readings(settings.home, Device.CPU))
    told = "; ".join((*warnings.defer, *warnings.warn)) or "quiet enough to measure"
    yield Check("machine", not warnings.defer, told, "measure when it is quieter", needed=False)


def _program(name: str, remedy: str) -> Check:
    path = shutil.which(name)
    return Check(name, path is not None, path or "not found", remedy)


def _distribution(name: str, extra: str) -> Check:
    try:
        return Check(name, True, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Check(name, False, "not installed", f"pip install 'perfsvc[{extra}]'")


def _project(folder: Path | None) -> Check:
    if folder is None:
        return Check("project", False, "no asv.conf.json here or above", "go to a project's folder", needed=False)
    try:
        conf = asv_conf.load(folder)
        root = git.repository_root(folder)
        changed = ", with uncommitted changes, which are not measured" if git.is_dirty(root) else ""
        return Check("project", True, f"{conf.get('project')} in {folder}{changed}")
    except PerfsvcError as error:
        return Check("project", False, str(error))


def _disk(settings: Settings) -> Check:
    place = settings.home
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    room = f"{units.value(free, units.BYTES)} free under {place}"
    return Check("disk", free > WANTED_DISK, room, "make room: an environment with torch takes 1 to 6 GiB")


def _database(settings: Settings) -> Check:
    """One that is not there yet is made by the first command that measures; another version's stops all of them."""
    try:
        store = Store.open(settings.database)
    except NotFound as error:
        return Check("database", False, str(error), needed=False)
    except PerfsvcError as error:
        return Check("database", False, str(error))
    store.close()
    return Check("database", True, repr(store.engine.url))


def _port(what: str, host: str, port: int) -> Check:
    try:
        require_free(host, port, "")
        return Check(what, True, f"{host}:{port} is free")
    except PortInUse:
        return Check(what, False, f"{host}:{port} is taken", "perfsvc runs already, or choose another", needed=False)
    except SettingsError as error:
        return Check(what, False, str(error))


def require_free(host: str, port: int, setting: str) -> None:
    """Raises: PortInUse when something listens there; SettingsError when the host is none of this machine's."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except socket.gaierror as error:
            raise SettingsError(f"PERFSVC_HOST = {host}: {error.strerror}; wanted an address of this machine") from None
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise SettingsError(f"PERFSVC_HOST = {host}: is no address of this machine") from None
            remedy = f"end what listens there, or set {setting} to another port"
            raise PortInUse(f"{host}:{port}: {error.strerror}; {remedy}") from None
