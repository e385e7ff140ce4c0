"""What a run tells: how many statements of each kind ran and failed, and the faults with the fewest statements that show them."""
import os

from pg import Session

from .driver import line

SHOWN = int(os.environ.get("INVARIANT_SHOWN", 12))   # faults whose rows are shown with their smallest statements
# What statements may fail with: what they were made to, and what sessions do to each other
ALLOWED = {"00000", "22000", "22P03", "54000", "23505", "23514", "25P02", "3B001", "21000", "40001", "40P01", "55P03", "57P01", "57P02", None}


def counts(run):
    print("\n".join(run.log.report()))
    print("beside them:", ", ".join(f"{what} {count}" for what, count in sorted(run.beside.counts.items())))
    for state, (message, sql) in sorted(run.log.messages.items(), key=str):
        print(f"first {state}: {message} -- {sql[:100]}")
    print(f"failures of rows that are gone, at the checkpoints: {run.gone}")


def stuck(session):
    """Why jobs may wait: the jobs, what is known of their tables, who is at work and what is locked."""
    for title, sql in [
        ("jobs", "SELECT q, now() FROM clip.queue q"),
        ("attached", "SELECT t FROM clip.tables t WHERE relation IN (SELECT relation FROM clip.queue)"),
        ("changes of model", "SELECT c FROM clip.model_changes c"),
        ("prepared", "SELECT gid, prepared FROM pg_prepared_xacts"),
        ("sessions", "SELECT pid, backend_type, state, wait_event, xact_start, left(query, 100) FROM pg_stat_activity WHERE datname IS NOT NULL"),
        ("locks", "SELECT l.pid, l.locktype, l.relation::regclass, l.mode, l.granted FROM pg_locks l WHERE l.pid IS DISTINCT FROM pg_backend_pid()"),
    ]:
        yield f"{title}: {session.run(sql)}"


def add_errors(run):
    """Errors that nobody expects are faults as well."""
    for kind, states in run.log.kinds.items():
        for state in set(states) - ALLOWED - ({"42704"} if kind.endswith("PREPARED") else set()):
            run.faults[f"{kind} failed with {state}", "a table"] += [((), run.log.messages[state][0], "", [])] * states[state]
    for what, message in run.beside.unexpected:
        run.faults[what, "a table"].append(((), message, "", []))
    with Session() as session:
        log = os.path.join(os.path.dirname(session.one("SHOW data_directory")), "server.log")
    with open(log, encoding="utf8", errors="replace") as lines:
        for text in lines:
            if "PANIC" in text or ("was terminated by signal" in text and "signal 9" not in text):
                run.faults["the server's log", "no table"].append(((), text.strip(), "", []))


def faults(run, shrinker):
    """The first faults, one row of each, with the fewest statements."""
    for fault, table in sorted(run.faults, key=lambda f: -len(run.faults[f]))[:SHOWN]:
        key, details, mode, entries = min(run.faults[fault, table], key=lambda row: len(row[3]))
        print(f"\n{fault}: row {', '.join(key)} of {table}, {details}")
        found = shrinker.smallest(table, key, fault, entries, mode) if entries else None
        if found:
            print("  in an empty table, drained after each:" if found[1] else "  in an empty table, drained at the end:")
            entries = [(0, "", "00000", 0, statement) for statement in found[0]]
        for entry in entries:
            print(f"    {line(entry)}")
    shrinker.close()
    for fault in sorted({fault for fault, _ in run.faults}):
        found = {table: rows for (what, table), rows in sorted(run.faults.items()) if what == fault}
        table, rows = next(iter(found.items()))
        print(f"{fault}: {', '.join(f'{len(rows)} of {table}' for table, rows in found.items())}; such as {', '.join(rows[0][0])} of {table}: {rows[0][1]}")
