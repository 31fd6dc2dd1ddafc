"""`perfsvc` and `python -m perfsvc`: the command line, or the word on what to install for it."""

import sys


def main() -> None:
    """Run the command line. Exit 0 good, 1 regressions or failed guards found, 2 bad input, 3 a fault."""
    try:
        from perfsvc.cli import run
    except ModuleNotFoundError as error:
        sys.exit(f"perfsvc: {error.name} is not installed; the command line needs: pip install 'perfsvc[service]'")
    run()


if __name__ == "__main__":
    main()
