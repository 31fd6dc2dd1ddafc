"""${message}"""

${imports if imports else ""}
import sqlalchemy as sa
from alembic import op

import perfsvc.store.columns

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}
