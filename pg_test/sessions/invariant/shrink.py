"""From the log of a row to the fewest statements that do the same to it in an empty table, without workers and other sessions."""
from pg import Session, SqlError, fresh_database
from rows import no_workers

from . import check, sources, tables
from .driver import OK, Client


class Shrinker:
    def __init__(self, dbname, models, setup, directory):
        self.dbname = fresh_database(dbname)
        setup(dbname)
        self.session, self.client = Session(dbname), Client(dbname, directory, "shrink", "-c client_min_messages=error")
        no_workers(self.session)
        self.session.run("SET client_min_messages = error")
        for function in tables.FUNCTIONS:
            self.session.run(function)
        sources.make(self.session, models)

    def close(self):
        self.session.close()
        self.client.close()

    def smallest(self, name, key, fault, entries, mode):
        """(statements, whether the queue is drained after each), or None where the row's statements alone do no harm."""
        [table] = [t for t in tables.all_tables() if t.name == name] or [None]
        entries = [entry[4] for entry in entries if entry[2] == OK and (entry[4].kind or entry[4].again)]
        changes = [entry.again for entry in entries if entry.again and "clip_set_mode" in entry.again]
        if changes:   # `mode` is that of the end
            mode = "sync" if "'async'" in changes[0] else "async"
        for drains in (False, True):
            try:
                if self.shows(table, key, fault, entries, drains, mode):
                    return self.cut(table, key, fault, entries, drains, mode), drains
            except SqlError:
                pass   # what was done to the table does not fit it as it was made
        return None

    def cut(self, table, key, fault, entries, drains, mode):
        at = len(entries) - 1
        while at >= 0:
            less = entries[:at] + entries[at + 1:]
            if self.shows(table, key, fault, less, drains, mode):
                entries = less
            at -= 1
        return entries

    def shows(self, table, key, fault, entries, drains, mode):
        run = self.session.run
        run(f"DROP TABLE IF EXISTS {table.name}, {table.attached or table.name}, owner CASCADE")
        run("DROP DOMAIN IF EXISTS long_text CASCADE")
        for sql in table.setup:
            run(sql)
        if table.owners:
            run(f"INSERT INTO {table.owners} SELECT 'w' || w || to_char(i, '-fm000') FROM generate_series(0, 9) w, generate_series(0, 99) i")
        if mode != table.mode:
            for vector in table.vectors:
                run(f"SELECT clip_set_mode('{table.attached or table.name}', '{mode}', '{vector.strip(chr(34))}')")
        for entry in entries:
            if entry.kind:
                self.client.run([entry])
            elif entry.again:
                run(entry.again)
            if drains:
                run("CALL clip_drain()")
        run("CALL clip_drain()")
        check.failures(self.session)
        return any((found, what) == (key, fault) for found, what, _ in check.faults(self.session, table, check.model_of(self.session, table), True))
