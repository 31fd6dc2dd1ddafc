"""Measure commits on this machine. `agent.measure` is the door; the way in is a list of commits, the way out one bundle
folder per run. `paired.opened` is the other one: two commits in, values by turns out. Knows git, asv, pip and pytest as
programs; never the store.

agent         the order of the steps, for one commit after another
workspace     mirror and worktrees                 environments  what is installed to measure in, built once per lock
preparation   what all commits have in common      guards        the correctness tests, against the commit's package
asv_engine    one commit, one asv call per round   paired, turns, posts, served, side_main     two commits by turns
machine       this machine: facts, readings, pre-flight, canary      fingerprint  what was found in the environment
processes     programs on a leash                  locks         one device, one measurement
"""
