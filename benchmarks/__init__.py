"""What is measured, for asv: one file a question. `docs/benchmarking.md` says how to run it and how to read it."""
