"""Write the one baseline revision anew from tables/. Until 0.1.0; from then on revisions are added, not rewritten."""

import tempfile
from pathlib import Path

from alembic import command

from perfsvc.store import engine as databases

FOLDER = Path(databases.__file__).parent / "migrations" / "versions"

for old in FOLDER.glob("*.py"):
    old.unlink()
with tempfile.TemporaryDirectory() as place:
    engine = databases.open_engine(f"sqlite:///{place}/empty.sqlite")
    config = databases.alembic_config()
    with engine.connect().execution_options(writes=True) as connection:
        config.attributes["connection"] = connection
        command.revision(config, "baseline", autogenerate=True, rev_id="0001")
