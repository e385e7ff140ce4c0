"""The tables of the test: every way of attaching, and what people have around it.

Each has beside its sources plain columns of the test's own. `image_no` is the number of the picture that was last given to
the row and not taken away again; it is set in the statement that sets the image, so it is right whatever becomes of the
statement. `nulled` says that somebody set the vector to NULL, as before a backfill. `note` is content that is embedded
nowhere, and `code` a second unique key."""
import dataclasses

KEYS = 40   # of each writer in each table

INTEGER, TEXT, UUID = "bigint", "text", "uuid"
LONG = "v" * 60


@dataclasses.dataclass
class Table:
    name: str                                # as SQL writes it
    key: dict = dataclasses.field(default_factory=lambda: {"id": INTEGER})
    text: str = None
    image: str = None
    modality: str = None
    strict: bool = False                     # clip_create_table's own CHECKs
    keep: bool = True
    mode: str = "sync"
    computed: bool = False                   # the text is made of `name` and `what` by a trigger of the table's own
    vectors: list = dataclasses.field(default_factory=lambda: ["embedding"])
    code: bool = True
    parts: dict = dataclasses.field(default_factory=dict)   # value of `region` -> partition
    owners: str = None                       # a table that the key refers to
    changes: bool = False                    # its model is changed meanwhile
    model: str = "tiny"
    attached: str = None                     # where that is another table than the one that is written
    setup: list = dataclasses.field(default_factory=list)

    @property
    def vector(self):
        return self.vectors[0]

    @vector.setter
    def vector(self, name):
        self.vectors[0] = name

    @property
    def sources(self):
        return [c for c in (self.modality, *(["name", "what"] if self.computed else [self.text]), self.image) if c]

    @property
    def columns(self):
        """What a row is copied with."""
        return self.sources + (["image_no"] if self.image else []) + ["note", "nulled"]

    def keys(self, writer, number):
        """The key of a writer's row: values of the key's columns."""
        values = {INTEGER: f"{writer * 1000 + number}", TEXT: f"w{writer}-{number % 7}",
                  UUID: f"00000000-0000-4000-8000-{writer * 1000 + number:012d}"}
        if len(self.key) == 1:
            [kind] = self.key.values()
            return (f"w{writer}-{number:03d}",) if kind == TEXT else (values[kind],)
        if self.parts:
            return (list(self.parts)[number % len(self.parts)], f"{writer * 1000 + number // 2}")
        return (values[TEXT], f"{number}")

    def literals(self, key):
        return ", ".join(f"'{value}'::{kind}" for value, kind in zip(key, self.key.values()))

    def where(self, key, alias="o"):
        return " AND ".join(f"{alias}.{column} = '{value}'::{kind}" for value, (column, kind) in zip(key, self.key.items()))

    def attach(self):
        def named(**values):
            return "".join(f", {name} => '{value.strip(chr(34))}'" for name, value in values.items() if value)
        for vector in self.vectors:
            yield (f"SELECT clip_attach('{self.attached or self.name}', '{vector.strip(chr(34))}', keep_images => {self.keep}, model => '{self.model}'"
                   + named(text_column=self.text, image_column=self.image, modality_column=self.modality, mode=self.mode) + ")")


def created(name, keep, mode, **more):
    """A table of clip_create_table."""
    setup = [f"SELECT clip_create_table('{name}', keep_images => {keep}, mode => '{mode}')",
             f"ALTER TABLE {name} ADD note text, ADD nulled boolean NOT NULL DEFAULT false, ADD image_no int, ADD code text UNIQUE",
             f"CREATE TRIGGER m_touch BEFORE UPDATE ON {name} FOR EACH ROW EXECUTE FUNCTION touch()"]
    return Table(name, text="content_ref", image="image", modality="modality", strict=True, keep=keep, mode=mode, setup=setup, **more)


def own(name, columns, primary="id bigint PRIMARY KEY", before=(), after=(), **spec):
    """A table of somebody's own, attached."""
    table = Table(name, **spec)
    plain = ["note text", "nulled boolean NOT NULL DEFAULT false"] + ["image_no int"] * bool(table.image) + ["code text UNIQUE"] * table.code
    body = ", ".join([primary, columns, *plain, *(f"{vector} vector" for vector in table.vectors)])
    partitioned = " PARTITION BY LIST (region)" if table.parts and not table.attached else ""
    table.setup = [*before, f"CREATE TABLE {table.attached or name} ({body}){partitioned}", *table.attach(), *after]
    return table


def computed(name, trigger, mode):
    """The table's own trigger makes the text, before or after ours as their names sort."""
    return own(name, "name text, what text, search text", text="search", computed=True, mode=mode,
               after=[f'CREATE TRIGGER "{trigger}" BEFORE INSERT OR UPDATE ON {name} FOR EACH ROW EXECUTE FUNCTION fill()'])


REGIONAL = {"primary": "region text, id bigint, PRIMARY KEY (region, id)", "key": {"region": TEXT, "id": INTEGER}, "code": False}


def partitioned(name, mode, columns, **spec):
    parts = {region: f"{name}_{region}" for region in "abc"}
    return own(name, columns, text="title", image="photo", mode=mode, parts=parts, **REGIONAL, **spec,
               after=[f"CREATE TABLE {part} PARTITION OF {name} FOR VALUES IN ('{region}')" for region, part in parts.items()])


def late():
    """Attached first, and then made a partition of a table that pg_clip does not know."""
    return own("late", "title text, photo bytea", text="title", image="photo", mode="async", parts={"a": "late_a"}, attached="late_a", **REGIONAL,
               after=["CREATE TABLE late (LIKE late_a INCLUDING DEFAULTS) PARTITION BY LIST (region)", "ALTER TABLE late ADD PRIMARY KEY (region, id)",
                      "ALTER TABLE late ATTACH PARTITION late_a FOR VALUES IN ('a')"])


FUNCTIONS = [
    "CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.search := NEW.name || ' ' || NEW.what; RETURN NEW; END $$",
    "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.metadata := to_jsonb(clock_timestamp()); RETURN NEW; END $$",
    "CREATE FUNCTION perform(VARIADIC statements text[]) RETURNS void LANGUAGE plpgsql AS "
    "$$ BEGIN FOR i IN 1 .. cardinality(statements) LOOP EXECUTE statements[i]; END LOOP; END $$",
]


def all_tables():
    return [
        created("made", False, "sync"),
        created("made_async", False, "async"),
        created("kept", True, "sync", changes=True),
        created("kept_async", True, "async", changes=True),
        own("free", "kind text, body text, photo bytea", text="body", image="photo", modality="kind", keep=False, mode="async"),
        own("free_kept", "kind varchar(20), body text, photo bytea", text="body", image="photo", modality="kind"),
        own("pair", "title text, photo bytea", "shop text, number int, PRIMARY KEY (shop, number)", text="title", image="photo",
            key={"shop": TEXT, "number": "int"}),
        own("pair_async", "title varchar(100), photo bytea", "id uuid PRIMARY KEY", text="title", image="photo", mode="async", key={"id": UUID}),
        own('"Photo Shop"', '"the Image" bytea', '"Key" bigint PRIMARY KEY', image='"the Image"', keep=False, mode="async",
            key={'"Key"': INTEGER}, vectors=['"My Vector"']),
        own("photo", "photo bytea", image="photo", keep=False),
        own("kept_photo", "photo bytea", image="photo", mode="async"),
        own("words", "content long_text", before=["CREATE DOMAIN long_text AS text CHECK (length(VALUE) < 1000)"], text="content", mode="async",
            changes=True),
        own("twice", "title text", text="title", vectors=[LONG + "a", LONG + "b"]),
        own("child", "body text", "id text PRIMARY KEY REFERENCES owner ON UPDATE CASCADE", key={"id": TEXT}, text="body", mode="async",
            before=["CREATE TABLE owner (id text PRIMARY KEY)"], owners="owner"),
        computed("fill_first", "a_fill", "sync"),
        computed("fill_first_async", "a_fill", "async"),
        computed("fill_later", "zzz_fill", "sync"),
        computed("fill_later_async", "zzz_fill", "async"),
        computed("fill_last", "~~fill", "async"),
        computed("fill_beyond", "überfill", "sync"),
        partitioned("part", "sync", "title text, photo bytea"),
        partitioned("part_async", "async", "kind text, title text, photo bytea", keep=False, modality="kind"),
        late(),
    ]
