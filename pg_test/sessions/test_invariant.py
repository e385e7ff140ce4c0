#!/usr/bin/env python3
"""A vector is always of its source, by brute force: random statements of every kind on many tables, by several sessions, with
workers at work and killed. After a drain every row has the vector of its own source, or none and no source, or none and an entry
among the failures; nothing else.

INVARIANT_STATEMENTS: how many (20,000). INVARIANT_SEED: of the statements; what the sessions do to each other is the machine's."""
import collections
import concurrent.futures
import contextlib
import os
import random
import shutil
import tempfile
import threading
import time

from invariant import check, report, sources, tables
from invariant.disturb import Disturber
from invariant.driver import Client, Log
from invariant.shrink import Shrinker
from invariant.statements import Statements
from invariant.units import Writer
from pg import TWO_MODELS, Session, SqlError, fresh_database, golden_models, restart_server, until
from rows import preloaded, settings

STATEMENTS = int(os.environ.get("INVARIANT_STATEMENTS", 20000))
SEED = int(os.environ.get("INVARIANT_SEED", random.SystemRandom().randrange(1 << 32)))
WRITERS, BATCH, A_ROUND = 3, 20, 5000
PAUSE = 0.1   # of a writer between two batches, at most, so that workers find something to do meanwhile
CRASHES = max(2, STATEMENTS // 50000)
STALE_UNTIL_BACKFILL = False   # may an entry among the failures outlive what was wrong, until the next clip_backfill?
DB = "clip_invariant"
OPTIONS = "-c lock_timeout=20s -c statement_timeout=60s -c client_min_messages=error -c log_min_messages=fatal"


class Run:
    def __init__(self, directory):
        self.log, self.lock, self.tables = Log(), threading.Lock(), tables.all_tables()
        self.faults, self.gone = collections.defaultdict(list), []
        with Session(DB) as session:
            for function in tables.FUNCTIONS:
                session.run(function)
            pictures = sources.make(session, TWO_MODELS)
            for table in self.tables:
                for sql in table.setup:
                    session.run(sql)
                if table.owners:
                    keys = [f"('{table.keys(w, i)[0]}')" for w in range(WRITERS) for i in range(tables.KEYS)]
                    session.run(f"INSERT INTO {table.owners} VALUES {', '.join(keys)}")
            version = int(session.one("SHOW server_version_num")) // 10000
        self.writers = [Writer(number, self.tables, random.Random(f"{SEED} {number}"), pictures, version) for number in range(WRITERS)]
        self.clients = [Client(DB, directory, f"writer{number}", OPTIONS) for number in range(WRITERS)]
        self.dice = random.Random(f"{SEED} beside")
        self.beside = Disturber(DB, self.tables, self.dice, self.log, CRASHES)

    def write(self, writer, client, count):
        """So many statements of one session."""
        while count > 0:
            batch = []
            while len(batch) < BATCH:
                batch += writer.next()
            time.sleep(writer.dice.random() * PAUSE)
            results = client.run(batch)
            with self.lock:
                self.log.add(writer.number, batch, results)
            count -= len(batch)
            if results[-1][0] is None:
                until(lambda: answers(), 60, "a server that answers")
                self.end_prepared(writer.number)

    def end_prepared(self, number):
        """What a lost session has left would hold its rows for ever."""
        with Session(DB) as session:
            for [name] in session.run(f"SELECT gid FROM pg_prepared_xacts WHERE gid LIKE 'w{number}-%' AND database = '{DB}'"):
                session.run(f"{random.choice(['COMMIT', 'ROLLBACK'])} PREPARED '{name}'")

    def round(self, count):
        self.beside.start()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            works = [pool.submit(self.write, writer, client, count // WRITERS) for writer, client in zip(self.writers, self.clients)]
        self.beside.end()
        for work in works:
            work.result()
        for client in self.clients:
            client.close()
        for writer in self.writers:
            self.end_prepared(writer.number)

    # checkpoints -----------------------------------------------------------------------------------------------------

    def checkpoint(self):
        with Session(DB) as session:
            for table in (t for t in self.tables if t.changes):
                end_change(session, table)
            drain(session)
            self.look(session, nulled_allowed=True)
            self.detach(session)
            for table in self.tables:
                for vector in table.vectors:
                    session.run(f"CALL clip_backfill('{table.attached or table.name}', '{bare(vector)}')")
            drain(session)
            self.look(session, nulled_allowed=False)
            for table in self.tables:
                session.run(f"UPDATE {table.name} SET nulled = false WHERE nulled AND {table.vector} IS NOT NULL")
            self.rename(session)

    def look(self, session, nulled_allowed):  # that is, before the backfill
        check.failures(session)
        self.gone.append(sum(check.of_no_row(session, table) for table in self.tables))
        for table in self.tables:
            bad = check.faults(session, table, table.model, nulled_allowed)
            if STALE_UNTIL_BACKFILL and nulled_allowed:
                bad = [row for row in bad if row[1] not in check.STALE]
            for key, fault, details in bad:
                row = (table.name, key)
                self.faults[fault, table.name].append((key, details, table.mode, self.log.of(row)))
            # so that each is told of once
            for key in {key for key, _, _ in bad}:
                session.run(f"DELETE FROM {table.name} o WHERE {table.where(key)}")

    def detach(self, session):
        """A partition leaves while rows of it wait, and comes back: whoever does that has to backfill it."""
        table = self.dice.choice([t for t in self.tables if t.parts and not t.attached])
        region, part = self.dice.choice(list(table.parts.items()))
        with contextlib.suppress(SqlError):   # an image that is damaged, in mode sync
            session.run(Statements(table, 0, self.dice).insert_select().sql)
        session.run(f"ALTER TABLE {table.name} DETACH PARTITION {part}")
        session.run("CALL clip_drain()")
        attach = f"ALTER TABLE {table.name} ATTACH PARTITION {part} FOR VALUES IN ('{region}')"
        try:
            session.run(attach)
        except SqlError as e:
            self.faults[f"a partition that comes back: {e.sqlstate}", table.name].append(((part,), str(e).split("\n")[0], table.mode, []))
            session.run(f"SELECT clip_detach('{part}', '{bare(table.vector)}')")
            session.run(attach)
        self.log.note(f"{part} was detached and attached again", table.name)

    def rename(self, session):
        """A source or the vector of one table gets another name; taken back where that makes the table unwritable."""
        table = self.dice.choice([t for t in self.tables if not (t.strict or t.computed or t.attached or t.vectors[1:])])
        field = self.dice.choice([f for f in ("text", "image", "modality", "vector") if getattr(table, f)])
        old = getattr(table, field)
        new = old[:-2] if old.endswith("_r") else bare(old).replace(" ", "_").lower() + "_r"
        try:
            session.run(f"ALTER TABLE {table.name} RENAME COLUMN {old} TO {new}")
            setattr(table, field, new)
            error = self.written(session, table)
            if error:
                session.run(f"ALTER TABLE {table.name} RENAME COLUMN {new} TO {old}")
                setattr(table, field, old)
        except SqlError as e:
            error = e
        if error:
            self.faults[f"a column that is renamed: {error.sqlstate}", table.name].append(((field,), str(error).split("\n")[0], table.mode, []))
        else:
            self.log.note(f"{table.name}: {old} is {new} now", table.name)

    def written(self, session, table):
        """What is wrong with the table, if it cannot be asked and written; nothing stays."""
        try:
            session.run("BEGIN")
            session.run(f"SELECT clip_query('{table.name}', 'cat', '{bare(table.vector)}')")
            session.run(Statements(table, 0, self.dice).insert_new().sql)
            session.run(Statements(table, 0, self.dice).same_again().sql)
        except SqlError as e:
            return e if e.sqlstate.startswith("42") else None   # not what is wrong with the rows
        finally:
            session.run("ROLLBACK")


def bare(name):
    return name.strip('"')


def answers():
    try:
        with Session(DB) as session:
            return session.one("SELECT true")
    except Exception:
        return False


def end_change(session, table):
    """One that a restart of the server has interrupted."""
    try:
        session.run(f"SELECT clip_abort_model_change('{table.name}')")
    except SqlError as e:
        if e.sqlstate != "42704":   # beyond its switch
            session.run(f"CALL clip_change_model('{table.name}', '{check.model_of(session, table)}')")
    table.model = check.model_of(session, table)


def drain(session):
    """Until nothing waits; what retries has its entry."""
    end = time.monotonic() + 120
    while True:
        session.run("CALL clip_drain()")
        left = session.run("SELECT relation, waiting, claimed, retrying FROM clip_queue WHERE waiting + claimed > 0")
        if not left:
            return
        assert time.monotonic() < end, f"the queue does not end: {left}\n" + "\n".join(report.stuck(session))
        time.sleep(0.02)


def main():
    rounds = max(4, STATEMENTS // A_ROUND)
    print(f"INVARIANT_SEED={SEED} INVARIANT_STATEMENTS={STATEMENTS}", flush=True)
    directory = tempfile.mkdtemp(prefix="pg_clip_copy_")
    os.chmod(directory, 0o755)
    try:
        with golden_models(TWO_MODELS) as models:
            def setup(dbname):
                with Session() as admin:
                    for setting in (f"clip.model_dir = '{models}'", "clip.model = 'tiny'", "clip.precision = 'f32'", "clip.threads = 1"):
                        admin.run(f"ALTER DATABASE {dbname} SET {setting}")

            setup(fresh_database(DB))
            run, begun = Run(directory), time.monotonic()
            for number in range(rounds):
                run.round(STATEMENTS // rounds)
                run.checkpoint()
                print(f"{run.log.number} statements, {time.monotonic() - begun:.0f} s, {sum(map(len, run.faults.values()))} faults", flush=True)
            report.counts(run)
            report.add_errors(run)
            if run.faults:
                report.faults(run, Shrinker(f"{DB}_small", TWO_MODELS, setup, directory))
    finally:
        shutil.rmtree(directory)
    assert not run.faults, f"{sum(map(len, run.faults.values()))} rows are not as they must be, INVARIANT_SEED={SEED}"


preloaded(clip__workers=2, max_prepared_transactions=20, clip__worker_timeout="10s")
try:
    main()
finally:
    settings(shared_preload_libraries=None, clip__workers=None, max_prepared_transactions=None, clip__worker_timeout=None)
    restart_server()
