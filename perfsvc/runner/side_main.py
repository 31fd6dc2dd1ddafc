"""One side of a comparison in one round: a fresh process that runs the cases it is asked for, one after another.

    python side_main.py BENCHMARKS forkserver|spawn TIMEOUT

A script of the measured environment, which has asv_runner and no perfsvc. A line of JSON in, a line out:

    {"describe": true}              {"benchmarks": [...]}, as asv's own discovery tells them
    {"load": [name, ...]}           {"loaded": true}: imports what these need, so that no case waits for it
    {"run": name, "index": 3}       {"value": 0.0013} | {"skipped": why} | {"failed": why}

What benchmarks print goes where stderr goes. With "forkserver" each case has a process of its own, forked from this
one; with "spawn" (CUDA and Metal survive no fork) all share this one. A case past its timeout ends its process.
"""

import contextlib
import faulthandler
import json
import math
import os
import statistics
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:] = [place for place in sys.path if Path(place or ".").resolve() != HERE]  # our neighbours are no packages

from asv_runner import discovery  # noqa: E402
from asv_runner._aux import update_sys_path  # noqa: E402

PRINTED_KEPT = 2000

Answer = dict[str, Any]


def describe(root: str) -> Answer:
    """Every benchmark that can be imported; a module that cannot has its trace on stderr."""
    update_sys_path(root)
    told = []
    for benchmark in discovery.disc_benchmarks(root, ignore_import_errors=True):
        words = {key: value for key, value in vars(benchmark).items() if not key.startswith("_")}
        told.append({key: value for key, value in words.items() if isinstance(value, (str, int, float, list, dict))})
    return json.loads(json.dumps({"benchmarks": told}, skipkeys=True, default=str))  # type: ignore[no-any-return]


def load(root: str, names: list[str]) -> Answer:
    for name in names:
        with contextlib.suppress(Exception):  # the case itself will say so, when it is asked for
            discovery.get_benchmark_from_name(root, name)
    return {"loaded": True}


def run(root: str, name: str, index: "int | None", timeout: float) -> Answer:
    benchmark = discovery.get_benchmark_from_name(root, name if index is None else f"{name}-{index}")
    faulthandler.dump_traceback_later(benchmark.timeout or timeout, exit=True)
    try:
        has_cache = benchmark.setup_cache_key is not None
        benchmark.set_cache(benchmark.do_setup_cache() if has_cache else None)
        if benchmark.do_setup():
            return {"skipped": ""}
        try:
            result = benchmark.do_run()
        finally:
            benchmark.do_teardown()
    except NotImplementedError as reason:
        return {"skipped": str(reason)}
    finally:
        faulthandler.cancel_dump_traceback_later()
    return valued(result)


def valued(result: Any) -> Answer:
    """A benchmark returns a number, or samples of one: then their median."""
    number = statistics.median(result["samples"]) if isinstance(result, dict) and "samples" in result else result
    if not isinstance(number, (int, float)) or not math.isfinite(number):
        return {"failed": f"returned {str(number)[:PRINTED_KEPT]}, which is no finite number"}
    return {"value": float(number)}


def guarded(root: str, name: str, index: "int | None", timeout: float) -> Answer:
    try:
        return run(root, name, index, timeout)
    except BaseException as error:
        import traceback

        traceback.print_exc()
        return {"failed": f"{type(error).__name__}: {error}"[:PRINTED_KEPT]}
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def forked(root: str, name: str, index: "int | None", timeout: float) -> Answer:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writer, json.dumps(guarded(root, name, index, timeout)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    if not text:
        code = os.waitstatus_to_exitcode(status)
        return {"failed": f"its process was ended by signal {-code}" if code < 0 else f"exit code {code}"}
    return json.loads(text)  # type: ignore[no-any-return]


def serve(root: str, method: str, timeout: float) -> None:
    """Answer until nobody asks any more. The answers have stdout; what benchmarks print there goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    one = forked if method == "forkserver" else guarded
    for line in sys.stdin:
        asked = json.loads(line)
        if "describe" in asked:
            answer = describe(root)
        elif "load" in asked:
            answer = load(root, asked["load"])
        else:
            answer = one(root, asked["run"], asked["index"], timeout)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], float(sys.argv[3]))
