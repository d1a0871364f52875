"""Recordings: the library, archives on their way into it, subtitles, links that were used."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("installation", sa.Column("storage_id", sa.Text))
    _create_recordings()
    _create_formats()
    _create_imports()
    _create_beside()


def _create_recordings() -> None:
    op.create_table(
        "recordings",
        sa.Column("record_id", sa.Text, primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("meeting_id", sa.Text, nullable=False),
        sa.Column("internal_id", sa.Text),
        sa.Column("name", sa.Text, nullable=False, server_default=""),
        sa.Column("is_breakout", sa.Boolean, nullable=False, server_default="false"),
        sa.Column("breakout", postgresql.JSONB),
        sa.Column("breakout_rooms", postgresql.ARRAY(sa.Text), nullable=False, server_default="{}"),
        sa.Column("state", sa.Text, nullable=False, server_default="processing"),
        sa.Column("wanted", sa.Text, nullable=False),
        sa.Column("protected", sa.Boolean, nullable=False, server_default="false"),
        sa.Column("start_ms", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("end_ms", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("participants", sa.Integer),
        sa.Column("raw_size", sa.BigInteger),
        sa.Column("delivered", postgresql.JSONB, nullable=False, server_default="{}"),
        sa.Column("edited", postgresql.JSONB, nullable=False, server_default="{}"),
        sa.Column("metadata", postgresql.JSONB, nullable=False, server_default="{}"),
        sa.Column("document", sa.LargeBinary, nullable=False, server_default=""),
        sa.Column("is_settled", sa.Boolean, nullable=False, server_default="false"),
        sa.Column("mover", sa.Text),
        sa.Column("mover_until", _TIME),
        sa.Column("generation", sa.BigInteger),
        sa.Column("mark", sa.Text),
        sa.Column("announced", sa.Text),
        sa.Column("created_at", _TIME, nullable=False, server_default=sa.func.now()),
        sa.Column("deleted_at", _TIME),
    )
    op.create_index(
        "ix_recordings_record_id_prefix", "recordings", ["record_id"], postgresql_ops={"record_id": "text_pattern_ops"}
    )
    op.create_index("ix_recordings_meeting_id", "recordings", ["tenant", "meeting_id"])
    newest_first = [sa.text("start_ms DESC"), sa.text("record_id DESC")]
    op.create_index("ix_recordings_start", "recordings", ["tenant", *newest_first], postgresql_include=["state"])
    is_rare = sa.text("state <> 'published'")
    op.create_index("ix_recordings_not_published", "recordings", ["tenant", "state", *newest_first], postgresql_where=is_rare)
    op.create_index(
        "ix_recordings_metadata",
        "recordings",
        ["metadata"],
        postgresql_using="gin",
        postgresql_ops={"metadata": "jsonb_path_ops"},
    )
    op.create_index("ix_recordings_unsettled", "recordings", ["record_id"], postgresql_where=sa.text("NOT is_settled"))
    op.create_index("ix_recordings_deleted_at", "recordings", ["deleted_at"], postgresql_where=sa.text("deleted_at IS NOT NULL"))


def _of_recording() -> sa.Column[str]:
    return sa.Column("record_id", sa.Text, sa.ForeignKey("recordings.record_id", ondelete="CASCADE"), nullable=False)


def _create_formats() -> None:
    for table, where, own in (
        ("recording_formats", "location", [sa.Column("placed_at", _TIME, nullable=False, server_default=sa.func.now())]),
        ("recording_arrivals", "directory", [sa.Column("inode", sa.BigInteger, nullable=False)]),
    ):
        op.create_table(
            table,
            _of_recording(),
            sa.Column("format", sa.Text, nullable=False),
            sa.Column("description", postgresql.JSONB, nullable=False),
            sa.Column(where, sa.Text, nullable=False),
            sa.Column("files", sa.Integer, nullable=False),
            sa.Column("bytes", sa.BigInteger, nullable=False),
            sa.Column("manifest", sa.LargeBinary, nullable=False),
            sa.Column("digest", sa.Text, nullable=False),
            *own,
            sa.PrimaryKeyConstraint("record_id", "format"),
        )


def _create_imports() -> None:
    op.create_table(
        "imports",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("spool", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("file", sa.Text, nullable=False, unique=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("mtime_ns", sa.BigInteger, nullable=False),
        sa.Column("seen_at", _TIME, nullable=False, server_default=sa.func.now()),
        sa.Column("state", sa.Text, nullable=False, server_default="waiting"),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("holder", sa.Text),
        sa.Column("lease_until", _TIME),
        sa.Column("next_attempt_at", _TIME, nullable=False, server_default=sa.func.now()),
        sa.Column("reason", sa.Text),
        sa.Column("detail", sa.Text),
        sa.Column("failing_since", _TIME),
        sa.Column("record_ids", postgresql.ARRAY(sa.Text), nullable=False, server_default="{}"),
        sa.Column("formats", postgresql.ARRAY(sa.Text), nullable=False, server_default="{}"),
        sa.Column("bytes_done", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("files_done", sa.Integer, nullable=False, server_default="0"),
        sa.Column("tenant", sa.Text),
        sa.Column("is_forced", sa.Boolean, nullable=False, server_default="false"),
        sa.Column("claimed_at", _TIME, nullable=False, server_default=sa.func.now()),
        sa.Column("finished_at", _TIME),
    )
    is_open = sa.text("state IN ('waiting', 'working')")
    op.create_index("ix_imports_due", "imports", ["next_attempt_at", "id"], postgresql_where=is_open)
    op.create_index("ix_imports_state", "imports", ["state", "id"])


def _create_beside() -> None:
    op.create_table(
        "used_links",
        sa.Column("token", sa.LargeBinary, primary_key=True),
        sa.Column("expires_at", _TIME, nullable=False, index=True),
    )
    op.create_table(
        "text_tracks",
        _of_recording(),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("lang", sa.Text, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("created_at", _TIME, nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("record_id", "kind", "lang"),
    )


def downgrade() -> None:
    for table in ("text_tracks", "used_links", "imports", "recording_arrivals", "recording_formats", "recordings"):
        op.drop_table(table)
    op.drop_column("installation", "storage_id")
