"""An archive that is refused is told, with the reason and nothing of what it holds."""

from tests.alerts import added_hook, told
from tests.archives import deliver, record_id_of
from tests.library import Library

RECORD_ID = record_id_of("room")


async def test_an_archive_that_is_refused_is_told_once_for_each_time(library: Library) -> None:
    await added_hook(library.database)
    deliver(library.spool.directory, RECORD_ID, b"this is no archive, and holds a canary" * 100)
    [refused] = await library.take_in()
    (alert,) = await told(library.database)
    assert (alert["kind"], alert["subject"]) == ("recording.quarantined", refused.name)
    assert alert["detail"] == {"import": refused.id, "reason": refused.reason}
    assert await library.runner.run_next() is None
    assert len(await told(library.database)) == 1


async def test_what_another_worker_has_by_now_is_not_told(library: Library) -> None:
    await added_hook(library.database)
    deliver(library.spool.directory, RECORD_ID, b"this is no archive" * 100)
    [claimed] = await library.claim()
    async with library.database.transaction() as connection:
        await connection.execute("CREATE FUNCTION taken_over() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$")
        await connection.execute(
            "CREATE TRIGGER taken_over BEFORE UPDATE ON imports FOR EACH ROW WHEN (new.state = 'quarantined') "
            "EXECUTE FUNCTION taken_over()"
        )
    await library.runner.run_next()
    [left] = await library.imports(claimed.id)
    assert left.state == "working"
    assert await told(library.database) == []
