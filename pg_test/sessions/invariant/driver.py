"""psql in a pipe: many statements a round trip, the SQLSTATE of each, and what was done to which row."""
import collections
import dataclasses
import os
import subprocess

OK = "00000"
KEPT = 25   # statements that are remembered of a row


@dataclasses.dataclass
class Statement:
    kind: str
    sql: str
    rows: tuple = ()        # those it touches: (table, key)
    moves: tuple = ()       # pairs of them, from and to
    data: str = None        # of a COPY, which goes by a file: psql would take the data for statements where the COPY does not begin
    again: str = None       # of a note: what was done


class Client:
    """One connection that outlives its server."""

    def __init__(self, dbname, directory, name, settings=""):
        self.dbname, self.directory, self.name, self.settings, self.files = dbname, directory, name, settings, 0
        self.psql = None

    def open(self):
        self.psql = subprocess.Popen(
            ["psql", "-X", "-q", "-A", "-t", "-o", "/dev/null", "-d", self.dbname], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={**os.environ, "PGOPTIONS": self.settings, "PGCLIENTENCODING": "UTF8", "PGAPPNAME": self.name})

    def close(self):
        if self.psql:
            self.psql.stdin.close()
            self.psql.stdout.close()
            self.psql.wait()
            self.psql = None

    def text(self, statement):
        if statement.data is None:
            return statement.sql + ";"
        self.files = (self.files + 1) % 1000
        path = os.path.join(self.directory, f"{self.name}.{self.files}")
        with open(path, "w", encoding="utf8") as file:
            file.write(statement.data)
        return f"{statement.sql} '{path}';"

    def run(self, statements):
        """(SQLSTATE, rows, message) of each; the state is None where the connection was lost before or with it."""
        if self.psql is None or self.psql.poll() is not None:
            self.open()
        marked = "".join(f"{self.text(s)}\n\\echo @ :SQLSTATE :ROW_COUNT :LAST_ERROR_MESSAGE\n" for s in statements)
        results = []
        try:
            self.psql.stdin.write(marked)
            self.psql.stdin.flush()
            while len(results) < len(statements) and (line := self.psql.stdout.readline()):
                if line.startswith("@ "):
                    parts = line.rstrip("\n").split(" ", 3)
                    results.append((parts[1], int(parts[2]) if parts[2].isdigit() else 0, parts[3] if parts[1] != OK else ""))
        except BrokenPipeError:
            pass
        if len(results) < len(statements):
            self.psql.kill()
            self.psql.wait()
            self.psql = None
        return results + [(None, 0, "the connection was lost")] * (len(statements) - len(results))


def line(entry):
    number, who, state, count, statement = entry
    data = f" <<< {statement.data!r}" if statement.data else ""
    return f"#{number} {who} {'' if state == OK else f'[{state}] '}({count}) {statement.sql}{data}"


class Log:
    """How many statements of each kind ran and failed, and the last ones that touched each row."""

    def __init__(self):
        self.kinds = collections.defaultdict(collections.Counter)   # kind -> SQLSTATE -> count
        self.found = collections.Counter()                          # kind -> statements that found rows
        self.rows = collections.defaultdict(lambda: collections.deque(maxlen=KEPT))
        self.messages = {}                                          # SQLSTATE -> the first message
        self.number = 0

    def add(self, who, statements, results):
        for statement, (state, count, message) in zip(statements, results):
            self.number += 1
            self.kinds[statement.kind][state] += 1
            self.found[statement.kind] += count > 0
            if state != OK:
                self.messages.setdefault(state, (message, statement.sql))
            entry = (self.number, who, state, count, statement)
            for row in statement.rows:
                self.rows[row].append(entry)
            for old, new in statement.moves:
                self.rows[new].extend(self.rows[old])

    def note(self, text, table=None, again=None):
        """What was done to all rows, or those of a table."""
        self.number += 1
        for (name, _), entries in list(self.rows.items()):
            if table in (None, name):
                entries.append((self.number, "all", OK, 0, Statement("", text, again=again)))

    def of(self, row):
        """The last statements that touched a row."""
        entries = {entry[0]: entry for entry in self.rows.get(row, ())}
        return [entries[number] for number in sorted(entries)]

    def last(self, row):
        """The kind of the last statement that may have changed a row."""
        done = [entry for entry in self.rows.get(row, ()) if entry[2] == OK and entry[4].kind]
        return max(done, key=lambda entry: entry[0])[4].kind if done else "nothing"

    def report(self):
        """The table of kinds."""
        yield f"{'statement':<44}{'ran':>9}{'found rows':>12}  failed, by SQLSTATE"
        for kind, states in sorted(self.kinds.items()):
            failed = ", ".join(f"{state or 'lost'} {count}" for state, count in sorted(states.items(), key=str) if state != OK)
            yield f"{kind:<44}{sum(states.values()):>9}{self.found[kind]:>12}  {failed}"
        yield f"{'all':<44}{sum(sum(s.values()) for s in self.kinds.values()):>9}"
