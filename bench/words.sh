#!/usr/bin/env bash
# Words beside vectors: recall@10 of full text alone, of the model alone, and of both fused, for 50 queries as somebody types them into
# one box, in a throw-away cluster with the bundled model. Expects an installed extension.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/cluster.sh
start_cluster
PYTHONPATH=pg_test/sessions python3 - <<'END'
import json

from pg import Session, fresh_database, hexed

# A shop's catalogue of the demo's 320 pictures: a file is named by its product's code, its name is known in German, and there is a
# text in English of its maker, its size and its order.
demo = json.load(open("models/demo/evalset.json"))["pictures"]
makers = ["Norwind", "Kestrel", "Alvarado", "Tamsin", "Okoye", "Brandt", "Mirabeau", "Szabo"]
db = fresh_database("words")
with Session(db) as session:
    session.run("SELECT clip_create_table('catalogue')")
    for i, picture in enumerate(demo):
        code, order = f"{'ABCDEFGH'[i % 8]}X-{1000 + 37 * i}", 24000 + 11 * i
        picture.update(code=code, order=order, maker=makers[i // 7 % 8])
        image = open("models/demo/" + picture["file"], "rb").read()
        german = picture["de"].replace("'", "''")
        session.run(f"INSERT INTO catalogue (modality, content_ref, image, metadata) VALUES ('image', 'pictures/{code}.png', {hexed(image)}, '{json.dumps({'code': code, 'name': '%'})}'::jsonb || jsonb_build_object('name', '{german}'))")
        session.run(f"INSERT INTO catalogue (modality, content_ref, metadata) VALUES ('text', 'from {picture['maker']}, {10 + i % 90} cm, order {order}', jsonb_build_object('code', '{code}'))")
    session.run("SET clip.text_search_config = 'english'; SELECT clip_create_words_index('catalogue'); ANALYZE catalogue")
    chosen = demo[::6][:50]
    queries = []
    for i, picture in enumerate(chosen):
        of_code = f"metadata @> '{{\"code\": \"{picture['code']}\"}}'"
        if i % 5 in (0, 1):
            queries.append(("a code", picture["code"], of_code))
        elif i % 5 == 2:
            queries.append(("an order", f"order {picture['order']}", f"content_ref LIKE '%order {picture['order']}'"))
        elif i % 5 == 3:
            queries.append(("what is seen", picture["en"], f"content_ref = 'pictures/{picture['code']}.png'"))
        else:
            queries.append(("a code or what is seen", f"{picture['en']} or {picture['code']}", of_code))

    ways = {
        "full text": "SELECT id FROM catalogue WHERE clip_words('english', content_ref, metadata) @@ websearch_to_tsquery('english', $q${q}$q$) "
                     "ORDER BY ts_rank_cd(clip_words('english', content_ref, metadata), websearch_to_tsquery('english', $q${q}$q$)) DESC, id LIMIT 10",
        "the model": "SELECT key ->> 'id' FROM clip_search('catalogue', $q${q}$q$)",
        "both": "SELECT key ->> 'id' FROM clip_search('catalogue', $q${q}$q$, words => $q${q}$q$)",
    }
    recalls = {}
    for kind, query, relevant in queries:
        owed = {row[0] for row in session.run(f"SELECT id FROM catalogue WHERE {relevant}")}
        for way, sql in ways.items():
            found = {row[0] for row in session.run(sql.format(q=query))}
            recalls.setdefault(kind, {}).setdefault(way, []).append(len(found & owed) / len(owed))
            recalls.setdefault("all", {}).setdefault(way, []).append(len(found & owed) / len(owed))
    print("| queries | " + " | ".join(ways) + " |\n" + "|---" * (1 + len(ways)) + "|")
    for kind in [*dict.fromkeys(kind for kind, _, _ in queries), "all"]:
        row = recalls[kind]
        print(f"| {kind} ({len(row['both'])}) | " + " | ".join(f"{sum(row[way]) / len(row[way]):.2f}" for way in ways) + " |")
END
