"""How fast the store is and how large, beside what it must reach. `python -m tools.bench_store --help`."""
