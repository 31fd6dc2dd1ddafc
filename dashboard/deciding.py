"""What one can do about an alert: measure it again, and decide on it with a name and a reason."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable

import streamlit as st

from dashboard import parts, people, reading
from perfsvc import charts, triage
from perfsvc.errors import TriageError
from perfsvc.model import STANDING, AlertState
from perfsvc.rows import AlertDetail, AlertRow


def reproduce(detail: AlertDetail) -> None:
    command = reproduction(detail)
    if command:
        parts.show(parts.section("Reproduce it", hint="In a clone of the repository, on a quiet machine:"))
        st.code(command, language=None, wrap_lines=True)


def reproduction(detail: AlertDetail) -> str:
    """One command that measures the two sides of the range again. Names are quoted for the shell."""
    good, bad = detail.alert.last_good, detail.alert.first_bad
    if bad is None:
        return ""
    if not detail.changes:
        return shlex.join(["perfsvc", "measure", "--commits", bad.hash, "--bench", "^$"])
    label = detail.changes[0].label
    around = [good.hash, bad.hash] if good else [bad.hash]
    return shlex.join(
        ["asv", "continuous", "-f", "1.03", "-a", "rounds=6", "--bench", f"^{re.escape(label)}$", *around]
    )


Step = Callable[..., AlertRow]
STANDING_STEPS: tuple[tuple[str, Step, str], ...] = (
    ("Acknowledge", triage.acknowledge, "somebody looks at it"),
    ("Accept", triage.accept, "it is real and meant: the new level is the level"),
    ("Dismiss", triage.dismiss, "it is not real, or nobody's business"),
)
CLOSED_STEPS: tuple[tuple[str, Step, str], ...] = (("Reopen", triage.reopen, "it asks for somebody after all"),)


def decide(alert: AlertRow) -> None:
    parts.show(parts.section("Decide"))
    name = people.person()
    if not people.may_triage(reading.settings().dashboard, name):
        parts.show(
            parts.empty("You can read this, not decide on it.", "Deciding needs a name that may: sign in, or ask.")
        )
        return
    steps = STANDING_STEPS if alert.state in STANDING else CLOSED_STEPS
    reason = st.text_input("Reason, for whoever looks next", key=f"reason-{alert.id}", max_chars=500)
    with st.container(horizontal=True):
        for label, step, hint in steps:
            if label == "Acknowledge" and alert.state is AlertState.ACKNOWLEDGED:
                continue
            if st.button(label, help=hint, key=f"{label}-{alert.id}"):
                _take(step, alert, name, reason)


def _take(step: Step, alert: AlertRow, name: str, reason: str) -> None:
    try:
        step(reading.store(), alert.id, actor=name, reason=reason)
    except TriageError as error:
        st.warning(charts.plain(str(error), 300))
        return
    st.rerun()
