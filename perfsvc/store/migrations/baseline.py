"""Write the one baseline revision anew from tables.py: `python -m perfsvc.store.migrations.baseline`. Until 0.1.0."""

from pathlib import Path

from alembic import command
from sqlalchemy import create_engine

from perfsvc.store import engine

if __name__ == "__main__":
    (Path(__file__).parent / "versions" / "0001_baseline.py").unlink(missing_ok=True)
    config = engine._config()
    with create_engine("sqlite://").connect() as connection:
        config.attributes["connection"] = connection
        command.revision(config, "baseline", autogenerate=True, rev_id="0001")
