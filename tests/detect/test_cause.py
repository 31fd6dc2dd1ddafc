"""One word for each set of facts, and the evidence beside it."""

from __future__ import annotations

import itertools

import pytest

from perfsvc.detect.cause import CROWD, Facts, cause_of
from perfsvc.model import Cause


@pytest.mark.parametrize(
    ("facts", "cause", "evidence"),
    [
        (Facts(), Cause.UNDECIDED, "no experiment has confirmed it yet"),
        (Facts(exact=True, environment_moved=True), Cause.CODE, "deterministic count"),
        (Facts(only_noisy_runs=True, environment_moved=True), Cause.NOISE, "scatters"),
        (Facts(environment_moved=True), Cause.ENVIRONMENT, "environment moved"),
        (Facts(environment_moved=True, machines_moved=1), Cause.CODE, "seen on 1 other machine in"),
        (Facts(machines_moved=2, machines_still=1), Cause.CODE, "seen on 2 of 3 other machines"),
        (Facts(canary_moved=True, share_of_machine=0.9), Cause.MACHINE, "canary moved"),
        (Facts(canary_moved=False, share_of_machine=0.9), Cause.CODE, "90 % of this machine's series"),
        (Facts(share_of_machine=0.5, machines_still=2), Cause.MACHINE, "2 other machines did not"),
        (Facts(share_of_machine=0.5), Cause.UNDECIDED, "no canary and no other machine"),
        (Facts(canary_moved=False, machines_still=1), Cause.UNDECIDED, "canary stood still, another machine did not"),
        (Facts(share_of_machine=CROWD - 0.01, machines_still=2), Cause.UNDECIDED, "did not move"),
    ],
)
def test_a_cause_and_its_evidence(facts: Facts, cause: Cause, evidence: str) -> None:
    word, why = cause_of(facts)
    assert word is cause
    assert evidence in why


def test_without_a_certain_fact_it_is_never_the_code() -> None:
    """Code is said of a count, of another machine, or of a crowd beside a still canary; of nothing else."""
    for environment, noisy, canary, share, still in itertools.product(
        (True, False), (True, False), (True, None), (0.0, 0.5), (0, 2)
    ):
        facts = Facts(
            environment_moved=environment,
            only_noisy_runs=noisy,
            canary_moved=canary,
            share_of_machine=share,
            machines_still=still,
        )
        assert cause_of(facts)[0] is not Cause.CODE
