"""What happens beside the writers: workers that die, drains, backfills, changes of mode and of model."""
import collections
import threading

from pg import Session, SqlError, crash

# the server ends or is gone, somebody else is at it, locks
EXPECTED = {None, "57P01", "57P02", "57P03", "55006", "55P03", "40P01"}
WORKERS = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_clip worker'"


class Disturber:
    """One at a time, in a thread of its own, until told to stop; what it began it ends."""

    def __init__(self, dbname, tables, dice, log, crashes):
        self.dbname, self.tables, self.dice, self.log, self.crashes = dbname, tables, dice, log, crashes
        self.stop, self.counts, self.unexpected, self.failed = threading.Event(), collections.Counter(), [], None
        self.left = []   # of the ways to disturb, so that all have their turn

    def start(self):
        self.stop.clear()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def end(self):
        self.stop.set()
        self.thread.join()
        if self.failed:
            raise self.failed

    def run(self):
        ways = [self.terminate] * 3 + [self.set_mode] * 4 + [self.backfill] * 3 + [self.drain, self.reattach] + [self.change_model] * 3
        try:
            while not self.stop.wait(self.dice.random() * 0.1):
                if self.crashes and self.dice.random() < 0.05:
                    self.kill()
                self.left = self.left or self.dice.sample(ways, len(ways))
                self.left.pop()()
        except Exception as e:  # shown by the thread that waits for this one
            self.failed = e

    def does(self, what, sql, timeout=120):
        """Whether it came to its end."""
        try:
            with Session(self.dbname) as session:
                session.run("SET statement_timeout = '60s'")
                session.run(sql, timeout)
            self.counts[what] += 1
            return True
        except (SqlError, OSError, ValueError) as e:   # the server may have ended
            state = getattr(e, "sqlstate", None)
            self.counts[f"{what}: {state}"] += 1
            if state not in EXPECTED and not (what, state) == ("clip_abort_model_change", "42704"):
                self.unexpected.append((f"{what} failed with {state}", str(e).strip().split("\n")[0]))
            return False

    def terminate(self):
        self.does("worker ended", f"SELECT pg_terminate_backend(pid) FROM ({WORKERS}) w")

    def kill(self):
        with Session(self.dbname) as session:
            pids = [int(pid) for [pid] in session.run(WORKERS)]
        if pids:
            try:
                if not crash(self.dice.choice(pids), self.dbname):
                    return  # it was about to leave
            except ProcessLookupError:
                return  # it has left
            self.crashes -= 1
            self.counts["worker killed"] += 1
            self.log.note("the server restarted: kill -9 of a worker")

    def set_mode(self):
        table = self.dice.choice(self.tables)
        mode = "async" if table.mode == "sync" else "sync"
        sql = "; ".join(f"SELECT clip_set_mode('{table.attached or table.name}', '{mode}', '{vector.strip(chr(34))}')" for vector in table.vectors)
        if self.does(f"clip_set_mode to {mode}", sql):
            table.mode = mode
            self.log.note(f"{table.name} is in mode {mode} now", table.name, sql)

    def backfill(self):
        table = self.dice.choice(self.tables)
        vector = self.dice.choice(table.vectors).strip('"')
        self.does("clip_backfill", f"CALL clip_backfill('{table.attached or table.name}', '{vector}')")

    def drain(self):
        self.does("clip_drain", "CALL clip_drain()")

    def reattach(self):
        """In one transaction, so that nobody writes to the partition meanwhile."""
        table = self.dice.choice([t for t in self.tables if t.parts and not t.attached])
        region, part = self.dice.choice(list(table.parts.items()))
        self.does("DETACH and ATTACH PARTITION", f"BEGIN; SET lock_timeout = '5s'; ALTER TABLE {table.name} DETACH PARTITION {part}; "
                  f"ALTER TABLE {table.name} ATTACH PARTITION {part} FOR VALUES IN ('{region}'); COMMIT")

    def change_model(self):
        table = self.dice.choice([t for t in self.tables if t.changes])
        model = "tiny-eps" if table.model == "tiny" else "tiny"
        sql = f"CALL clip_change_model('{table.name}', '{model}')"
        if self.does("clip_change_model", sql):
            table.model = model
            self.log.note(f"{table.name} has model {model} now", table.name, sql)
        else:
            self.does("clip_abort_model_change", f"SELECT clip_abort_model_change('{table.name}')")
