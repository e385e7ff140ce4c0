"""The table as a class of SQLAlchemy's ORM, with pgvector's type."""

from pathlib import Path

from pgvector.sqlalchemy import Vector
from sqlalchemy import BigInteger, Identity, LargeBinary, Text, cast, column, create_engine, func, select
from sqlalchemy.dialects.postgresql import ENUM, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

pictures = Path("models/demo/pictures")
texts = ["a cat asleep on a sofa", "a bowl of fruit", "the road to the sea"]
names = ["cat-face.png", "dog-face.png", "red-apple.png", "pear.png"]


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    modality: Mapped[str] = mapped_column(ENUM("text", "image", name="clip_modality", create_type=False))
    content_ref: Mapped[str | None] = mapped_column(Text)
    attributes: Mapped[dict | None] = mapped_column("metadata", JSONB)  # "metadata" is taken in such classes
    # Not selected along with every row: input only, NULL in the table after INSERT; and 256 numbers.
    image: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    embedding = mapped_column(Vector(256), deferred=True)


with Session(create_engine("postgresql+psycopg://")) as session:
    session.execute(select(func.clip_create_table(Item.__tablename__)))  # a migration: op.execute(...)
    session.add_all(Item(modality="text", content_ref=text) for text in texts)
    session.add_all(Item(modality="image", content_ref=name, image=(pictures / name).read_bytes()) for name in names)
    session.commit()

    def nearest(content):
        return Item.embedding.cosine_distance(func.clip_query(Item.__tablename__, content))

    kitten = select(Item.content_ref).where(Item.modality == "image").order_by(nearest("a kitten")).limit(2)
    print("words:", *session.scalars(kitten), sep="\n  ")
    tangerine = select(Item.content_ref).order_by(nearest((pictures / "tangerine.png").read_bytes())).limit(3)
    print("picture:", *session.scalars(tangerine), sep="\n  ")

    # Rows of clip_search as objects. func knows no named arguments: relation, query, k, modality.
    found = func.clip_search(Item.__tablename__, "a pet", 3).table_valued(column("key", JSONB), "rank")
    pets = select(Item).join(found, Item.id == cast(found.c.key["id"], BigInteger)).order_by(found.c.rank)
    print("search:", *(item.content_ref for item in session.scalars(pets)), sep="\n  ")
