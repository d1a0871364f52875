"""Webhooks: their events in the outbox, whether they can be told, and where servers bring events."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_NOT_OF_HOOKS = "state = 'pending' AND hook_id IS NULL"
_OF_HOOKS = "state = 'pending' AND hook_id IS NOT NULL"


def upgrade() -> None:
    op.add_column("outbox", sa.Column("hook_id", sa.Text))
    op.drop_index("ix_outbox_due", "outbox")
    op.create_index("ix_outbox_due", "outbox", ["next_attempt_at"], postgresql_where=sa.text(_NOT_OF_HOOKS))
    op.create_index("ix_outbox_hook", "outbox", ["hook_id", "id"], postgresql_where=sa.text(_OF_HOOKS))
    op.create_index("ix_placements_host_id", "placements", ["host_id", "generation"])
    op.add_column("hooks", sa.Column("failing_since", sa.DateTime(timezone=True)))
    op.add_column("installation", sa.Column("hooks_base_url", sa.Text))


def downgrade() -> None:
    op.drop_column("installation", "hooks_base_url")
    op.drop_column("hooks", "failing_since")
    op.drop_index("ix_placements_host_id", "placements")
    op.drop_index("ix_outbox_hook", "outbox")
    op.drop_index("ix_outbox_due", "outbox")
    # An older version does not know what they are.
    op.execute("DELETE FROM outbox WHERE hook_id IS NOT NULL")
    op.drop_column("outbox", "hook_id")
    op.create_index("ix_outbox_due", "outbox", ["next_attempt_at"], postgresql_where=sa.text("state = 'pending'"))
