import json
import re
from pathlib import Path

import pytest

from perfsvc.errors import RunnerError
from perfsvc.model import Device
from perfsvc.runner import asv_conf, asv_results
from perfsvc.runner.asv_results import Message
from perfsvc.runner.variables import matrix_variables, suite_variables


def taken(names: list[str], bench: str, labels: list[str]) -> list[str]:
    """What asv's --bench takes of the labels: it searches."""
    return [label for label in labels if re.search(asv_results.selection(names, bench), label)]


def test_a_selection_takes_whole_names_only() -> None:
    labels = ["a.time_x(1, 2)", "a.time_x_long(1)", "b.a.time_x(1)", "a.time_x"]
    assert taken(["a.time_x"], "", labels) == ["a.time_x(1, 2)", "a.time_x"]


def test_a_selection_keeps_what_the_persons_expression_means() -> None:
    labels = ["a.x('sdpa')", "a.x('naive')", "b.x('sdpa')"]
    assert taken(["a.x", "b.x"], "sdpa", labels) == ["a.x('sdpa')", "b.x('sdpa')"]
    assert taken(["a.x", "b.x"], "^b|naive", labels) == ["a.x('naive')", "b.x('sdpa')"]
    assert taken(["a.x"], r"\('sdpa'\)$", labels) == ["a.x('sdpa')"]


def test_a_broken_expression_is_named() -> None:
    with pytest.raises(RunnerError, match=r"--bench \(: not a regular expression"):
        asv_results.check_regex("(")


def write(folder: Path, results: dict[str, object], printed: dict[str, object]) -> asv_results.Round | None:
    (folder / "m").mkdir()
    (folder / "m" / "machine.json").write_text("{}")
    text = json.dumps({"results": results}).replace('"nan"', "NaN")
    (folder / "m" / "abc-env.json").write_text(text)
    (folder / "printed.json").write_text(json.dumps(printed))
    return asv_results.read_round(folder, "m", folder / "printed.json")


def test_what_a_round_left_is_told_by_parameter_set(tmp_path: Path) -> None:
    said = "For parameters: 1, 'a'\nTraceback\nValueError: odd\n\nFor parameters: 2, 'a'\nasv: skipped: not here"
    done = write(
        tmp_path,
        {"some": [[1.0, None, "nan"]], "none": [None], "skipped": [["nan"]], "empty": []},
        {"some": {"exit_code": 1, "printed": said}, "none": {"exit_code": -9, "printed": ""}},
    )
    assert done is not None
    assert (done.measured, done.failed) == ({"some"}, {"none"})
    assert done.messages == (
        Message("none", "exit code -9, and it printed nothing"),
        Message("some(1, 'a')", "Traceback\nValueError: odd"),
        Message("some(2, 'a')", "asv: skipped: not here"),
    )


def test_warnings_of_a_benchmark_that_worked_are_nobodys_business(tmp_path: Path) -> None:
    done = write(tmp_path, {"x": [[1.0]]}, {"x": {"exit_code": 0, "printed": "UserWarning: odd"}})
    assert done is not None
    assert done.messages == ()


def test_without_a_result_file_there_is_no_round(tmp_path: Path) -> None:
    assert asv_results.read_round(tmp_path, "m", tmp_path / "printed.json") is None


def test_asvs_configuration_may_have_comments_and_must_be_one(tmp_path: Path) -> None:
    with pytest.raises(RunnerError, match=r"no asv\.conf\.json"):
        asv_conf.load(tmp_path)
    (tmp_path / "asv.conf.json").write_text('{"version": 1, /* odd */ "project": "p",}')
    assert asv_conf.load(tmp_path)["project"] == "p"
    (tmp_path / "asv.conf.json").write_text('{"version": 1, "project": ')
    with pytest.raises(RunnerError, match=r"asv\.conf\.json: "):
        asv_conf.load(tmp_path)


def test_a_suite_outside_its_project_is_refused(tmp_path: Path) -> None:
    for place in ("..", ".", "/tmp", "../other"):
        with pytest.raises(RunnerError, match="wanted a folder below its own"):
            asv_conf.suite_folder({"benchmark_dir": place}, tmp_path)
    with pytest.raises(RunnerError, match=r"benchmarks: no __init__\.py"):
        asv_conf.suite_folder({}, tmp_path)


def test_only_a_linux_cpu_is_measured_from_a_fork_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    assert asv_conf.launch_method("auto", Device.CPU) == "forkserver"
    assert asv_conf.launch_method("auto", Device.CUDA) == "spawn"
    assert asv_conf.launch_method("spawn", Device.CPU) == "spawn"
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    assert asv_conf.launch_method("auto", Device.CPU) == "spawn"


def test_a_benchmark_sees_chosen_variables_and_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERFSVC_DATABASE_URL", "postgresql://secret")
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    conf = {"matrix": {"env_nobuild": {"MALLOC_TRIM_THRESHOLD_": ["1"], "OMP_NUM_THREADS": ["2", "4"]}}}
    told = suite_variables(Device.CPU, "full", {"OMP_NUM_THREADS": "3"}, conf)
    assert not {"PERFSVC_DATABASE_URL", "GITHUB_TOKEN", "PYTHONPATH"} & set(told)
    assert told["OMP_NUM_THREADS"] == "3"
    assert told["MALLOC_TRIM_THRESHOLD_"] == "1"
    assert (told["PERFSVC_DEVICE"], told["PERFSVC_GRID"], told["PYTHONHASHSEED"]) == ("cpu", "full", "0")
    assert matrix_variables(conf)["OMP_NUM_THREADS"] == "2"
