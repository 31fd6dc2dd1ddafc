"""Measure commits on this machine. `agent.measure` is the door; the way in is a list of commits, the way out one bundle
folder per run. Knows git, asv, pip and pytest as programs; never the store.

agent         the order of the steps, for one commit after another
workspace     mirror and worktrees                 environments  what is installed to measure in, built once per lock
asv_engine    one commit, one asv call per round   guards        the correctness tests, against the commit's package
machine       this machine: facts, readings, pre-flight, canary      fingerprint  what was found in the environment
processes     programs on a leash                  locks         one device, one measurement
"""
