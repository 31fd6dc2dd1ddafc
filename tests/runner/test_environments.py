import zipfile
from pathlib import Path

import pytest

from perfsvc.errors import RunnerError
from perfsvc.runner import environments, processes
from perfsvc.runner.environments import COMPLETE, ENGINE, Lock
from perfsvc.settings import Settings


def wheel(folder: Path) -> Path:
    """The smallest distribution that pip installs without an index."""
    path = folder / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny.py", "")
        archive.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("tiny-1.0.dist-info/RECORD", "")
    return path


def settings(**sections: object) -> Settings:
    return Settings.load(None, **sections)


def test_a_half_built_environment_is_not_used(tmp_path: Path) -> None:
    lock = Lock("here", (str(wheel(tmp_path)),))
    half = tmp_path / "environments" / lock.digest / "bin" / "python"
    half.parent.mkdir(parents=True)
    half.write_text("half-built")
    python = environments.ready(tmp_path, lock, leash=processes.new_leash())
    assert python == half
    assert list(python.parents[1].glob("lib/python*/site-packages/tiny.py"))
    marker = python.parents[1] / COMPLETE
    built = marker.stat().st_mtime_ns
    environments.ready(tmp_path, lock, leash=processes.new_leash())
    assert marker.stat().st_mtime_ns == built, "a complete one is used as it is"


def test_a_failing_install_carries_pips_last_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    lock = Lock("here", ("no-such-distribution-anywhere==1.0",))
    with pytest.raises(
        RunnerError, match=r"cannot install no-such-distribution-anywhere(.|\n)*No matching distribution"
    ):
        environments.ready(tmp_path, lock, leash=processes.new_leash())
    assert not (tmp_path / "environments" / lock.digest / COMPLETE).exists()


def test_the_lock_is_of_the_settings_and_of_what_engine_and_guards_need() -> None:
    given = settings(environment={"requirements": ["torch==2.13.0"]}, guards={"command": ["python", "-m", "pytest"]})
    lock = environments.ordered(given, {"matrix": {"req": {"numpy": [""]}}})
    assert lock.requirements == (*ENGINE, "torch==2.13.0", "pytest")
    assert lock.digest != environments.ordered(settings(), {}).digest


def test_without_settings_the_requirements_are_the_matrix_of_asv() -> None:
    matrix = {"req": {"torch": ["2.13.0", "2.12.0"], "numpy": [""], "pip+asv_runner": ["0.3.2"], "six": [None]}}
    assert environments.ordered(settings(), {"matrix": matrix}).requirements == (*ENGINE, "torch==2.13.0", "numpy")
    old = {"matrix": {"numpy": ["2.0"], "pip+zipp": []}}
    assert environments.matrix_requirements(old) == ("numpy==2.0", "zipp")
