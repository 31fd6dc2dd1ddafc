"""What is measured, for asv: one file a question. `docs/benchmarking.md` says how to run it and how to read it."""

import sys

if "asv_runner" in sys.modules:
    from benchmarks.standin import import_all

    import_all(__name__, list(__path__))
