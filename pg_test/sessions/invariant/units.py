"""What a writer does next: a statement, or several that belong together, as transactions, savepoints and functions."""
from .driver import Statement
from .statements import Statements, literal
from .tables import KEYS


def plain(kind, sql):
    return Statement(kind, sql)


class Writer:
    """One session's statements. Its rows are its own, so that it meets others in tables and not in rows."""

    def __init__(self, number, tables, dice, pictures, version):
        self.number, self.dice, self.pictures, self.version = number, dice, pictures, version
        self.on = [Statements(table, number, dice) for table in tables]
        self.prepared = 0

    def single(self, s):
        """One statement."""
        return self.drawn({s.insert: 10, s.insert_new: 4, s.insert_select: 4, s.copy_of_row: 2, lambda: s.copy(self.pictures): 4, s.update: 24,
                           s.take_away: 5, s.same_again: 3, s.null_vector: 1, s.delete: 4, s.swap_sources: 3, s.upsert: 22,
                           s.merge: 8 if self.version >= 15 else 0})()

    def drawn(self, weights):
        return self.dice.choices(list(weights), list(weights.values()))[0]

    def next(self):
        """A list of statements."""
        s = self.dice.choice(self.on)
        return self.drawn({self.alone: 60, self.replaced: 9, self.as_loaded: 6, self.key_change: 15 if s.t.owners else 4, self.savepoint: 4,
                           self.transaction: 4, self.aborted: 2, self.two_phases: 1, self.with_clauses: 4, self.in_function: 3, self.in_block: 2,
                           self.moved: 15 if s.t.parts else 0})(s)

    def alone(self, s):
        return [self.single(s)]

    def replaced(self, s):
        """Rows that make way for others with their keys, in one transaction or in two."""
        keys = s.some_keys(6)
        if self.dice.random() < 0.2:
            return [s.delete(keys[0]), s.copy_of_row(keys[0])]
        insert = self.dice.choice([s.insert, s.insert_select, lambda keys: s.copy(self.pictures, keys), lambda keys: s.copy(self.pictures, keys)])(keys)
        both = [s.delete(*keys), insert]
        return self.wrapped(both, "COMMIT") if self.dice.random() < 0.5 else both

    def wrapped(self, statements, end):
        begin = self.dice.choices(["BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ", "BEGIN ISOLATION LEVEL SERIALIZABLE"], [8, 1, 1])[0]
        return [plain(begin, begin), *statements, plain(end, end)]

    def transaction(self, s):
        return self.wrapped([self.single(self.dice.choice([s, s, self.dice.choice(self.on)])) for _ in range(self.dice.randint(2, 4))], "COMMIT")

    def aborted(self, s):
        return self.wrapped([self.single(s) for _ in range(2)], "ROLLBACK")

    def savepoint(self, s):
        first, undone, last = (self.single(s) for _ in range(3))
        back = [plain("SAVEPOINT", "SAVEPOINT a"), undone, plain("ROLLBACK TO SAVEPOINT", "ROLLBACK TO SAVEPOINT a")]
        if self.dice.random() < 0.3:
            back = [plain("SAVEPOINT", "SAVEPOINT a"), undone, plain("RELEASE SAVEPOINT", "RELEASE SAVEPOINT a")]
        return self.wrapped([first, *back, last], "COMMIT")

    def two_phases(self, s):
        """Ended after statements on another table: it holds locks on its rows."""
        self.prepared += 1
        name = f"w{self.number}-{self.prepared}"
        other = self.dice.choice([o for o in self.on if o is not s])
        inner = [self.single(s) for _ in range(self.dice.randint(1, 3))]
        end = self.dice.choice(["COMMIT PREPARED", "COMMIT PREPARED", "ROLLBACK PREPARED"])
        return [plain("BEGIN", "BEGIN"), *inner, plain("PREPARE TRANSACTION", f"PREPARE TRANSACTION '{name}'"),
                *(self.single(other) for _ in range(3)), plain(end, f"{end} '{name}'")]

    def as_loaded(self, s):
        """As an object-relational mapper saves a row: every column, with the values that it read."""
        t, key = s.t, s.key()
        changed = s.dice.choice([{"note"}, {"note"}, {s.dice.choice(t.sources)}, set(t.sources)])
        pairs = s.assignments(changed, s.values(s.content()).__getitem__)
        loaded = {c: f"r.{c}" for c in t.columns + t.vectors if c not in pairs}
        # A worker may write the row in between. What a change of a source does to `image_no` follows from the row as it was read.
        locked = "" if changed == {"note"} else " FOR UPDATE"
        sql = (f"DO $do$ DECLARE r record; BEGIN SELECT * INTO r FROM {t.name} o WHERE {t.where(key)}{locked}; IF FOUND THEN "
               f"UPDATE {t.name} AS o SET {', '.join(f'{c} = {v}' for c, v in (loaded | pairs).items())} WHERE {t.where(key)}; END IF; END $do$")
        return [s.made("UPDATE of all columns as loaded" + ("" if changed == {"note"} else ", a source changed"), sql, key)]

    def key_change(self, s):
        t, old, new = s.t, s.key(), s.key()
        if t.owners:
            return self.cascade(s, old, new)
        named = lambda key: dict(zip(t.key, t.literals(key).split(", ")))
        move = lambda a, b: self.moves(s, "UPDATE of the key", a, b, named(b))
        pick = self.dice.random()
        if pick < 0.4:   # swapped through a third
            third = t.keys(self.number, KEYS + 2)
            return self.wrapped([move(old, third), move(new, old), move(third, new)], "COMMIT")
        if pick < 0.7:
            return [s.delete(new), move(old, new)]
        changed = s.assignments(set(t.sources), s.values(s.content()).__getitem__) | named(new)
        return [s.delete(new), self.moves(s, "UPDATE of the key and sources", old, new, changed)]

    def moves(self, s, kind, old, new, pairs):
        rows = (s.row(old), s.row(new))
        return Statement(kind, f"UPDATE {s.t.name} AS o {s.set_list(pairs)} WHERE {s.t.where(old)}", rows, (rows,))

    def cascade(self, s, old, new):
        if old == new:
            return [s.update([old])]
        t = s.t
        statements = [s.delete(new), plain("DELETE of a referenced row", f"DELETE FROM {t.owners} WHERE id = '{new[0]}'"),
                      Statement("UPDATE that cascades to a key", f"UPDATE {t.owners} SET id = '{new[0]}' WHERE id = '{old[0]}'", (s.row(old), s.row(new)),
                                ((s.row(old), s.row(new)),)),
                      plain("INSERT of a referenced row", f"INSERT INTO {t.owners} VALUES ('{old[0]}')")]
        return self.wrapped(statements, "COMMIT")

    def with_clauses(self, s):
        t, (a, b) = s.t, (s.key(), s.key())
        pick = self.dice.random()
        if a == b or pick < 0.3:
            a, b = s.key(), s.key()
            columns = ", ".join([*t.key, *t.columns, *t.vectors])
            rows = (s.row(a), s.row(b))
            return [s.delete(b)] * (a != b) + [Statement(
                "WITH DELETE ... INSERT of the row", f"WITH d AS (DELETE FROM {t.name} o WHERE {t.where(a)} RETURNING *) INSERT INTO {t.name} ({columns}) "
                f"SELECT {t.literals(b)}, {', '.join(t.columns + t.vectors)} FROM d ON CONFLICT DO NOTHING", rows, (rows,))]
        change, insert = s.update([a]), s.insert([b])
        return [Statement("WITH UPDATE, INSERT", f"WITH u AS ({change.sql} RETURNING 1), i AS ({insert.sql} ON CONFLICT DO NOTHING RETURNING 1) "
                          "SELECT FROM u FULL JOIN i ON true", change.rows + insert.rows)]

    def without_copy(self, s):
        while (one := self.single(s)).data:
            pass
        return one

    def in_function(self, s):
        inner = [self.without_copy(s) for _ in range(self.dice.randint(1, 3))]
        rows = tuple(row for one in inner for row in one.rows)
        return [Statement("statements in a function", f"SELECT perform({', '.join(f'$st${one.sql}$st$' for one in inner)})", rows)]

    def in_block(self, s):
        """One is undone by the block's exception, the others stay."""
        first, undone, last = (self.without_copy(s) for _ in range(3))
        return [Statement("DO block with an exception", f"DO $do$ BEGIN {first.sql}; BEGIN {undone.sql}; RAISE division_by_zero; "
                          f"EXCEPTION WHEN division_by_zero THEN NULL; END; {last.sql}; END $do$", first.rows + undone.rows + last.rows)]

    def moved(self, s):
        """To another partition."""
        t, old = s.t, s.key()
        new = (self.dice.choice(list(t.parts)), old[1])
        pairs = {"region": literal(new[0])}
        if self.dice.random() < 0.4:
            pairs |= s.assignments(s.changed(), s.values(s.content()).__getitem__)
        kind = "UPDATE to another partition" + (", with others" if len(pairs) > 1 else "")
        return [s.delete(new)] * (new != old and self.dice.random() < 0.5) + [self.moves(s, kind, old, new, pairs)]
