"""Single statements on one table, at random. The old row is `o` in all of them.

What a statement does to `image_no` follows from what a user may expect of it, and from nothing that pg_clip does but one
thing: where images are not kept, an image that was embedded is NULL and still the row's source."""
import dataclasses

from .driver import Statement
from .sources import DAMAGED, NAMES, PICTURES, TEXTS, TOO_LARGE, WHATS


@dataclasses.dataclass
class Content:
    """What is proposed for a row; None for NULL."""
    modality: str
    text: int
    image: int
    note: int


def literal(value, kind="text"):
    return f"NULL::{kind}" if value is None else f"'{value}'::{kind}"


class Statements:
    """A writer's statements on one table."""

    def __init__(self, table, writer, dice):
        self.t, self.writer, self.dice = table, writer, dice

    # what rows are made of -------------------------------------------------------------------------------------------

    def content(self):
        t, dice = self.t, self.dice
        text = dice.randrange(len(TEXTS)) if dice.random() < 0.9 else None
        image = dice.choices([dice.randrange(PICTURES), DAMAGED, TOO_LARGE], [60, 1, 1])[0]
        modality = None
        if t.strict:
            modality = dice.choice(["text", "image"])
            image = image if modality == "image" and dice.random() < 0.97 else None
            text = text if modality == "image" else dice.randrange(len(TEXTS))
        elif t.modality:
            modality = dice.choices(["text", "image", None, "sound"], [45, 45, 5, 3])[0]
            image = image if dice.random() < (0.9 if modality == "image" else 0.2) else None
        elif t.text:
            image = image if dice.random() < 0.6 else None
        else:
            image = image if dice.random() < 0.9 else None
        return Content(modality, text, image, dice.randrange(1000))

    def values(self, content):
        """Of each column, as SQL."""
        t, values = self.t, {}
        if t.modality:
            values[t.modality] = literal(content.modality, "clip_modality" if t.strict else "text")
        if t.computed:
            name, what = (None, None) if content.text is None else divmod(content.text, len(WHATS))
            values["name"], values["what"] = literal(name if name is None else NAMES[name]), literal(what if what is None else WHATS[what])
        elif t.text:
            values[t.text] = literal(None if content.text is None else TEXTS[content.text])
        if t.image:
            values[t.image] = "NULL::bytea" if content.image is None else f"pic({content.image})"
            values["image_no"] = "NULL::int" if content.image is None else str(content.image)
        values["note"] = literal(content.note)
        return values

    def key(self):
        from .tables import KEYS
        return self.t.keys(self.writer, self.dice.randrange(KEYS))

    def some_keys(self, most=4):
        return list(dict.fromkeys(self.key() for _ in range(self.dice.randint(1, most))))

    def target(self, *keys):
        """The table, or now and then the partition in which all of the rows lie."""
        regions = {key[0] for key in keys}
        if self.t.parts and len(regions) == 1 and self.dice.random() < 0.4:
            return self.t.parts[regions.pop()]
        return self.t.name

    def of(self, keys):
        return " OR ".join(f"({self.t.where(key)})" if len(keys) > 1 else self.t.where(key) for key in keys)

    def row(self, key):
        return (self.t.name, key)

    def made(self, kind, sql, *keys, **more):
        return Statement(kind, sql, tuple(map(self.row, keys)), **more)

    # assignments -----------------------------------------------------------------------------------------------------

    def image_no(self, changed, value):
        """The new `image_no`, or None where it stays; `value` gives the new value of a column, NULL for no image."""
        t = self.t
        if not t.image or not {t.image, t.modality} & changed:
            return None
        if t.keep:
            return value("image_no") if t.image in changed else None
        was = f"o.{t.modality}::text = 'image'" if t.modality else "true"
        stays = f"{was} AND {value(t.modality)}::text = 'image'" if t.modality in changed else was
        if t.image not in changed:
            return f"CASE WHEN o.{t.image} IS NOT NULL OR {stays} THEN o.image_no END"
        # one that was embedded is no longer there to be taken away
        return f"coalesce({value('image_no')}, CASE WHEN {stays} AND (o.{t.image} IS NULL OR o.{t.vector} IS NOT NULL) THEN o.image_no END)"

    def assignments(self, changed, value):
        pairs = {column: value(column) for column in changed}
        if (no := self.image_no(changed, value)) is not None:
            pairs["image_no"] = no
        if named := sorted(changed & set(self.t.sources)):
            # what another trigger makes of them is the same source again
            same = " AND ".join(f"o.{column} IS NOT DISTINCT FROM {value(column)}" for column in named)
            pairs["nulled"] = f"o.nulled AND {same}" if self.t.computed else "false"
        return pairs

    def changed(self):
        """Some columns, mostly one."""
        sources = self.t.sources
        pick = self.dice.random()
        if pick < 0.5:
            return {self.dice.choice(sources + ["note"])}
        if pick < 0.8:
            return set(sources) | ({"note"} if self.dice.random() < 0.5 else set())
        return {column for column in sources + ["note"] if self.dice.random() < 0.5} or {"note"}

    def set_list(self, pairs):
        if len(pairs) > 1 and self.dice.random() < 0.3:
            return f"SET ({', '.join(pairs)}) = ({', '.join(pairs.values())})"
        return "SET " + ", ".join(f"{column} = {value}" for column, value in pairs.items())

    # statements ------------------------------------------------------------------------------------------------------

    def rows(self, keys):
        """(columns, lists of values) of rows to be inserted."""
        t, lists, columns = self.t, [], []
        for key in keys:
            values = self.values(self.content())
            if t.code:
                values["code"] = literal("-".join(key))
            columns = [*t.key, *values]
            lists.append(f"{t.literals(key)}, {', '.join(values.values())}")
        return ", ".join(columns), lists

    def insert(self, keys=None, kind=None):
        keys = keys or self.some_keys(2)
        columns, lists = self.rows(keys)
        several = "INSERT, several rows" if len(keys) > 1 else "INSERT, one row"
        return self.made(kind or several, f"INSERT INTO {self.target(*keys)} ({columns}) VALUES {', '.join(f'({values})' for values in lists)}", *keys)

    def insert_new(self):
        """Rows that are there do not matter."""
        s = self.insert()
        return dataclasses.replace(s, kind="INSERT ... ON CONFLICT DO NOTHING", sql=s.sql + " ON CONFLICT DO NOTHING")

    def insert_select(self, keys=None):
        keys = keys or self.some_keys(6)
        columns, lists = self.rows(keys)
        return self.made("INSERT ... SELECT", f"INSERT INTO {self.target(*keys)} ({columns}) SELECT * FROM (VALUES "
                         f"{', '.join(f'({values})' for values in lists)}) s ON CONFLICT DO NOTHING", *keys)

    def copy_of_row(self, new=None):
        """As a dump brings a row: with its vector."""
        t, old, new = self.t, self.key(), new or self.key()
        given = t.columns + t.vectors + (["code"] if t.code else [])
        read = [f"o.{c}" for c in t.columns + t.vectors] + ([literal("-".join(new))] if t.code else [])
        return self.made("INSERT ... SELECT with the vector", f"INSERT INTO {self.target(new)} ({', '.join([*t.key, *given])}) SELECT {t.literals(new)}, "
                         f"{', '.join(read)} FROM {t.name} o WHERE {t.where(old)} ON CONFLICT DO NOTHING", old, new)

    def copy(self, pictures, keys=None):
        t, keys, lines = self.t, keys or self.some_keys(3), []
        escaped = lambda value: r"\N" if value is None else str(value)
        for key in keys:
            content = self.content()
            words = [escaped(None)] * 2 if content.text is None else [NAMES[content.text // len(WHATS)], WHATS[content.text % len(WHATS)]]
            fields = {t.modality: escaped(content.modality), "name": words[0], "what": words[1],
                      t.text: escaped(None if content.text is None else TEXTS[content.text]),
                      t.image: escaped(None if content.image is None else r"\\x" + pictures[content.image].hex())}
            lines.append("\t".join([*key, *(fields[c] for c in t.sources), *([escaped(content.image)] if t.image else []), str(content.note)]))
        columns = [*t.key, *t.sources] + ["image_no"] * bool(t.image) + ["note"]
        return self.made("COPY", f"COPY {self.target(*keys)} ({', '.join(columns)}) FROM", *keys, data="".join(line + "\n" for line in lines))

    def update(self, keys=None):
        keys = keys or self.some_keys(3)
        changed, values = self.changed(), self.values(self.content())
        pairs = self.assignments(changed, values.__getitem__)
        kind = "several columns" if len(changed) > 1 else "a source" if changed <= set(self.t.sources) else "another column"
        return self.made(f"UPDATE of {kind}", f"UPDATE {self.target(*keys)} AS o {self.set_list(pairs)} WHERE {self.of(keys)}", *keys)

    def take_away(self):
        """A source, or the modality, becomes NULL."""
        t, key = self.t, self.key()
        column = self.dice.choice([c for c in t.sources if c != t.modality or not t.strict])
        values = {column: "NULL", "image_no": "NULL::int"}
        pairs = self.assignments({column}, values.__getitem__)
        return self.made("UPDATE to NULL of a source", f"UPDATE {self.target(key)} AS o {self.set_list(pairs)} WHERE {t.where(key)}", key)

    def same_again(self):
        """The row's own sources, where they are there to be read."""
        t, key = self.t, self.key()
        pairs = {c: f"o.{c}" for c in t.sources}
        return self.made("UPDATE of sources to themselves", f"UPDATE {self.target(key)} AS o {self.set_list(pairs)} WHERE {t.where(key)}", key)

    def null_vector(self):
        """As before a backfill. Where the image was cleared, that is the end of it."""
        t, key = self.t, self.key()
        pairs = {vector: "NULL" for vector in t.vectors} | {"nulled": "true"}
        if t.image and not t.keep:
            other = f" OR o.{t.modality}::text <> 'image'" if t.modality else ""
            pairs["image_no"] = f"CASE WHEN o.{t.image} IS NOT NULL{other} THEN o.image_no END"
        return self.made("UPDATE of the vector to NULL", f"UPDATE {t.name} AS o {self.set_list(pairs)} WHERE {t.where(key)}", key)

    def delete(self, *keys):
        keys = keys or (self.key(),)
        return self.made("DELETE", f"DELETE FROM {self.target(*keys)} o WHERE {self.of(keys)}", *keys)

    def swap_sources(self):
        """Between two rows, in one statement."""
        t, a, b = self.t, self.key(), self.key()
        value = lambda c: f"s.{c}" if c != "image_no" else f"CASE WHEN s.{t.image} IS NOT NULL THEN s.image_no END"
        pairs = self.assignments(set(t.sources), value)
        return self.made("UPDATE that swaps sources", f"UPDATE {t.name} AS o {self.set_list(pairs)} FROM {t.name} s WHERE "
                         f"({t.where(a)} AND {t.where(b, 's')}) OR ({t.where(b)} AND {t.where(a, 's')})", a, b)

    # upserts and MERGE -----------------------------------------------------------------------------------------------

    def upsert(self):
        t, dice, keys = self.t, self.dice, self.some_keys(5)
        columns, lists = self.rows(keys)
        proposed = lambda c: f"EXCLUDED.{c}"
        forms = {"all sources": set(t.sources), "one source": {dice.choice(t.sources)}, "some columns": self.changed(), "metadata": {"note"}}
        form = dice.choice([*forms, "all columns", "coalesce"] if t.image else [*forms, "all columns"])
        if form == "all columns":
            # the vector of a cleared image goes where none is proposed
            pairs = self.assignments(set(t.sources) | {"note"}, proposed) | {c: proposed(c) for c in t.vectors + ["image_no"] * bool(t.image)}
        elif form == "coalesce":
            # bytes that are not the row's source stay: EXCLUDED has none of an image that was embedded
            stays = f"EXCLUDED.{t.image} IS NULL AND o.{t.image} IS NOT NULL AND o.{t.modality}::text IS DISTINCT FROM 'image'" if t.modality else "false"
            pairs = {t.image: f"coalesce(EXCLUDED.{t.image}, o.{t.image})", "nulled": "false",
                     "image_no": f"CASE WHEN {stays} THEN o.image_no ELSE coalesce(EXCLUDED.image_no, o.image_no) END"}
        else:
            pairs = self.assignments(forms[form], proposed)
        condition = dice.choice(["", "", "", " WHERE o.note IS DISTINCT FROM EXCLUDED.note", " WHERE EXCLUDED.note > '5'"])
        conflict = "code" if t.code and dice.random() < 0.25 else ", ".join(t.key)
        kind = f"upsert, {form}" + (", on another key" if conflict == "code" else "")
        return self.made(kind, f"INSERT INTO {self.target(*keys)} AS o ({columns}) VALUES {', '.join(f'({v})' for v in lists)} "
                         f"ON CONFLICT ({conflict}) DO UPDATE {self.set_list(pairs)}{condition}", *keys)

    def merge(self):
        t, dice, keys = self.t, self.dice, self.some_keys(5)
        columns, lists = self.rows(keys)
        names = columns.split(", ")
        changed = self.changed()
        pairs = self.assignments(changed, lambda c: f"s.{c}")
        on = " AND ".join(f"o.{c} = s.{c}" for c in t.key)
        arms = [f"WHEN MATCHED AND s.note < '{dice.randrange(10)}' THEN DELETE", "WHEN MATCHED AND s.note > '95' THEN DO NOTHING",
                "WHEN MATCHED THEN UPDATE " + "SET " + ", ".join(f"{c} = {v}" for c, v in pairs.items()),
                f"WHEN NOT MATCHED THEN INSERT ({columns}) VALUES ({', '.join(f's.{c}' for c in names)})"]
        chosen = [arm for arm in arms if dice.random() < 0.8] or arms
        return self.made("MERGE", f"MERGE INTO {t.name} AS o USING (VALUES {', '.join(f'({v})' for v in lists)}) s ({columns}) ON {on} "
                         + " ".join(chosen), *keys)
