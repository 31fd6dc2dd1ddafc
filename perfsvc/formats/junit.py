"""JUnit XML, as pytest writes it -> guard results. An error (import, time-out) is *not run*, never *failed*.

Properties of a test: `guard, variant, device, dtype, error, tolerance, covers`; its suite's stand in for missing ones.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from perfsvc.errors import ResultFormatError
from perfsvc.formats import json_text
from perfsvc.model import GuardResult, Outcome

MAX_BYTES = 64 * 2**20
#: A message is for reading beside a number; the whole output stays in the runner's log.
MESSAGE_LENGTH = 2000
NOT_APPLICABLE = "not applicable"  #: what the reason of a skip begins with when the commit or device lacks the thing

_TIMED_OUT = "Failed: Timeout "  # pytest-timeout ends a test by failing it, which says nothing about its result

# Two entries of one test (a call and its teardown): the worse one counts.
_WORST_FIRST = (Outcome.FAILED, Outcome.NOT_RUN, Outcome.NOT_APPLICABLE, Outcome.PASSED)


def read_guards(data: bytes, place: str) -> tuple[GuardResult, ...]:
    """The guards of one test run, in its order, each test once. Raises: ResultFormatError when it is not JUnit XML."""
    results: dict[str, GuardResult] = {}
    for suite in _suites(data, place):
        common = _properties(suite)
        for case in suite.iterfind("testcase"):
            result = _guard(case, common)
            met = results.get(result.test, result)
            results[result.test] = min(met, result, key=lambda each: _WORST_FIRST.index(each.outcome))
    return tuple(results.values())


def _suites(data: bytes, place: str) -> Iterator[Element]:
    if len(data) > MAX_BYTES:
        raise ResultFormatError(f"{place}: has {len(data):,} bytes; at most {MAX_BYTES:,} are read")
    try:
        root: Element = fromstring(data, forbid_dtd=True)
    except DefusedXmlException as error:
        raise ResultFormatError(f"{place}: defines entities, which are not read: {error}") from None
    except (ParseError, ValueError, LookupError, RecursionError) as error:
        raise ResultFormatError(f"{place}: is not XML: {error}") from None
    if root.tag not in ("testsuites", "testsuite"):
        raise ResultFormatError(f"{place}: is XML of {json_text.brief(root.tag)}; wanted JUnit's <testsuites>")
    return root.iter("testsuite")


def _guard(case: Element, common: Mapping[str, str]) -> GuardResult:
    told = {**common, **_properties(case)}
    outcome, message = _outcome(case)
    remarks = [message]
    error, tolerance = (_number(told, key, remarks) for key in ("error", "tolerance"))
    return GuardResult(
        guard=told.get("guard") or _file_stem(case),
        test=_name(case),
        outcome=outcome,
        variant=told.get("variant", ""),
        device=told.get("device", ""),
        dtype=told.get("dtype", ""),
        error=error,
        tolerance=tolerance,
        covers=_pattern(told.get("covers", ""), remarks),
        message=_bounded("\n".join(filter(None, remarks))),
    )


def _outcome(case: Element) -> tuple[Outcome, str]:
    if (failure := case.find("failure")) is not None:
        said = _said(failure)
        return (Outcome.NOT_RUN if said.startswith(_TIMED_OUT) else Outcome.FAILED), said
    if (error := case.find("error")) is not None:
        return Outcome.NOT_RUN, _said(error)
    if (skipped := case.find("skipped")) is not None:
        reason = (skipped.get("message") or skipped.text or "").strip()
        applies = not reason.lower().startswith(NOT_APPLICABLE)
        return (Outcome.NOT_RUN if applies else Outcome.NOT_APPLICABLE), reason
    return Outcome.PASSED, ""


def _said(element: Element) -> str:
    """The message, and the text below it unless that only repeats the message."""
    message, text = (element.get("message") or "").strip(), (element.text or "").strip()
    return message if not text or text == message else f"{message}\n{text}".strip()


def _properties(element: Element) -> dict[str, str]:
    found = element.iterfind("properties/property")
    return {each.get("name", ""): each.get("value") or (each.text or "").strip() for each in found}


def _number(told: Mapping[str, str], key: str, remarks: list[str]) -> float | None:
    """A finite number, or None with a remark: NaN is what a broken kernel gives, and no database column keeps it."""
    text = told.get(key, "").strip()
    try:
        value = float(text) if text else None
    except ValueError:
        value = math.nan
    if value is None or math.isfinite(value):
        return value
    remarks.append(f"{key} is {json_text.brief(text)}")
    return None


def _pattern(covers: str, remarks: list[str]) -> str:
    """A regex that cannot be read covers everything: rather too much marked wrong than a wrong number believed."""
    try:
        re.compile(covers)
    except (re.error, OverflowError, RecursionError) as error:
        remarks.append(f"covers is {json_text.brief(covers)}, no regular expression ({error}): taken for everything")
        return ""
    return covers


def _name(case: Element) -> str:
    return "::".join(filter(None, (case.get("classname"), case.get("name")))) or "(a test without a name)"


def _file_stem(case: Element) -> str:
    """`test_causal` for tests/guards/test_causal.py: from `file`, else from the class's or the module's dotted path."""
    path = case.get("file") or case.get("classname") or case.get("name") or ""
    parts = re.split(r"[/\\.]", path.removesuffix(".py"))
    modules = [part for part in parts if part and not part[:1].isupper()]
    return modules[-1] if modules else path


def _bounded(text: str) -> str:
    return text if len(text) <= MESSAGE_LENGTH else text[: MESSAGE_LENGTH - 1] + "…"
