"""The table as a model of Django, with pgvector's field."""

import os
from pathlib import Path

import django
from django.conf import settings
from django.db import connection, models
from django.db.models import Func, Value
from pgvector.django import CosineDistance, VectorField

settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": os.environ["PGDATABASE"]}})
django.setup()
pictures = Path("models/demo/pictures")
texts = ["a cat asleep on a sofa", "a bowl of fruit", "the road to the sea"]
names = ["cat-face.png", "dog-face.png", "red-apple.png", "pear.png"]


class ModalityField(models.CharField):
    def db_type(self, connection):
        return "clip_modality"


class Item(models.Model):
    id = models.BigAutoField(primary_key=True)
    modality = ModalityField(choices={"text": "text", "image": "image"})
    content_ref = models.TextField(null=True)
    metadata = models.JSONField(null=True)
    image = models.BinaryField(null=True)  # input only: NULL in the table after INSERT
    embedding = VectorField(dimensions=256, null=True, editable=False)

    class Meta:
        app_label, db_table, managed = "shop", "items", False


with connection.cursor() as cursor:  # a migration: RunSQL("SELECT clip_create_table('items')", "DROP TABLE items")
    cursor.execute("SELECT clip_create_table('items')")
Item.objects.bulk_create(Item(modality="text", content_ref=text) for text in texts)
Item.objects.bulk_create(Item(modality="image", content_ref=n, image=(pictures / n).read_bytes()) for n in names)


def nearest(content):
    query = Func(Value("items"), Value(content), function="clip_query", output_field=VectorField())
    return CosineDistance("embedding", query)


# Name the columns, by values_list() or defer("image", "embedding"): else Django selects them all.
found = Item.objects.filter(modality="image").order_by(nearest("a kitten"))
print("words:", *found.values_list("content_ref", flat=True)[:2], sep="\n  ")
tangerine = nearest((pictures / "tangerine.png").read_bytes())
print("picture:", *Item.objects.order_by(tangerine).values_list("content_ref", flat=True)[:3], sep="\n  ")

# Rows of clip_search as objects.
sql = "SELECT (key->>'id')::bigint AS id, content_ref, distance FROM clip_search('items', query => %s, k => %s)"
print("search:", *(item.content_ref for item in Item.objects.raw(sql, ["a pet", 3])), sep="\n  ")
