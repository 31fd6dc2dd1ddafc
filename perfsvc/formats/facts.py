"""facts.jsonl: what each benchmark process told about itself beside its number, one JSON object a line.

{"benchmark": "forward.Kernels.time_forward", "params": ["'sdpa'", "'prefill_2k'"], "operators": {"aten::mm": 3},
 "backend": "flash", "device_state": {"allocated": 1024}, "imported_from": "attention/__init__.py"}
{"benchmark": "forward.Kernels.time_forward", "params": ["'naive'", "'prefill_2k'"], "skipped": "too little memory"}
"""

from __future__ import annotations

from perfsvc.errors import ResultFormatError
from perfsvc.formats import json_text
from perfsvc.formats.words import Words
from perfsvc.model import Complaint, Fact

MAX_LINE = 2**20
#: Of why a case gave no number: the rest is in the runner's log.
REASON_LENGTH = 500


def read_facts(data: bytes, place: str) -> tuple[tuple[Fact, ...], tuple[Complaint, ...]]:
    """The facts, and a complaint for each line that is none. Only `benchmark` must be told; params are asv's reprs."""
    facts: list[Fact] = []
    complaints: list[Complaint] = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        if line.strip():
            where = f"{place}:{number}"
            try:
                facts.append(_fact(line, where))
            except ResultFormatError as error:
                complaints.append(Complaint(where, str(error).removeprefix(f"{where}: ")))
    return tuple(facts), tuple(complaints)


def _fact(line: bytes, where: str) -> Fact:
    if len(line) > MAX_LINE:
        raise ResultFormatError(f"{where}: has {len(line):,} bytes; at most {MAX_LINE:,} are read of a line")
    told = Words(json_text.load_object(line, where), where)
    return Fact(
        benchmark=told.text("benchmark", needed=True),
        params=told.texts("params"),
        operators=told.object("operators"),
        backend=told.text("backend"),
        device_state=told.object("device_state"),
        imported_from=told.text("imported_from"),
        reason=(told.text("skipped") or told.text("failed"))[:REASON_LENGTH],
    )
