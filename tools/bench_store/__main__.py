"""Print how fast the store is and how large, beside what it must reach, as Markdown.

    python -m tools.bench_store [--size 0.05] [--only tree|history] [--no-publish] [--postgres URL] [--folder FOLDER]

tree: 1,400 made-up result files with 28,000 series and 6 million points, brought in by the command line, and published
by asv (most of the time that this takes). history: 10 million points in 40,000 series, asked for as the pages do. Times
are wall clock. `--size` makes both smaller. Where no PostgreSQL answers its column is left out, which is told.
"""

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tools.bench_store import bringing_in, databases, reading
from tools.bench_store.table import Table
from tools.bench_store.tree import Tree, shape


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=float, default=1.0, help="1 = as the targets are meant")
    parser.add_argument("--only", choices=["tree", "history"])
    parser.add_argument("--no-publish", action="store_true", help="no comparison with asv publish")
    parser.add_argument("--postgres", default="postgresql://127.0.0.1:5432/postgres", metavar="URL")
    parser.add_argument("--folder", type=Path, help="where to work; default: a temporary folder")
    chosen = parser.parse_args()
    table = Table()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        folder = Path(name)
        systems = databases.systems(folder, chosen.postgres)
        if chosen.only != "history":
            _tree(table, folder, systems, chosen.size, with_asv=not chosen.no_publish)
        if chosen.only != "tree":
            for new in systems:
                with new() as database:
                    _say(f"{database.system}: a long history")
                    reading.measure(table, database, chosen.size)
    print(table.markdown())


def _tree(table: Table, folder: Path, systems: list[databases.New], size: float, *, with_asv: bool) -> None:
    made = Tree(folder / "project", shape(size))
    table.notes.append(f"a tree of {made.files:,} files with {made.points:,} points in {made.series:,} series")
    _say(f"writing {table.notes[-1]}")
    made.write()
    with ExitStack() as stack:
        opened = [stack.enter_context(new()) for new in systems]
        _say("asv publish" if with_asv else "without asv publish")
        published = bringing_in.publish(made) if with_asv else None
        for database in opened:
            _say(f"{database.system}: bringing it in")
            bringing_in.cold(table, made, database, published)
        made.add_night()
        published = bringing_in.publish(made) if with_asv else None
        for database in opened:
            _say(f"{database.system}: one night more")
            bringing_in.night(table, made, database, published)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
