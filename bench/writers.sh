#!/usr/bin/env bash
# What writers wait for beside the model: the shortest of seven runs of each statement, in ms, in a throw-away cluster with the bundled
# model. Expects an installed extension and an idle machine. To compare two versions run it in turns in their checkouts, each with
# its own PG_CONFIG.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/cluster.sh
start_cluster
"$PG_BIN/psql" -X -q -A -t -v ON_ERROR_STOP=1 <<'END' | awk -F '\t' '{ printf "| %s | %s |\n", $1, $2 }'
SET client_min_messages = error;
\pset fieldsep '\t'
CREATE EXTENSION pg_clip CASCADE;
\o /dev/null
CREATE TABLE later (id int PRIMARY KEY, content text, price int, embedding vector);
SELECT clip_attach('later', text_column => 'content', mode => 'async');
CREATE TABLE pictures (id int PRIMARY KEY, picture bytea, embedding vector);
SELECT clip_attach('pictures', image_column => 'picture', mode => 'async');
CREATE TABLE at_once (id int PRIMARY KEY, content text, price int, embedding vector);
SELECT clip_attach('at_once', text_column => 'content');
\o
INSERT INTO at_once SELECT i, 'text ' || i % 100, 1 FROM generate_series(1, 20000) i;
CREATE TABLE times (what text, ms double precision);
CREATE PROCEDURE run(what text, statement text) LANGUAGE plpgsql AS $$
DECLARE
	begun timestamptz := clock_timestamp();
BEGIN
	EXECUTE statement;
	COMMIT;
	INSERT INTO times VALUES (what, extract(epoch FROM clock_timestamp() - begun) * 1000);
END $$;
DO $$ BEGIN FOR n IN 1 .. 7 LOOP
	TRUNCATE later, pictures, clip.queue;
	COMMIT;
	CALL run('async: INSERT of 50,000 rows', 'INSERT INTO later SELECT i, ''text number '' || i, 1 FROM generate_series(1, 50000) i');
	CALL run('async: UPDATE of another column of 20,000 rows', 'UPDATE later SET price = 2 WHERE id <= 20000');
	CALL run('async: 5,000 INSERTs', 'DO $d$ BEGIN FOR i IN 100001 .. 105000 LOOP INSERT INTO later VALUES (i, ''text'', 1); END LOOP; END $d$');
	CALL run('async: INSERT of 500 x 32 kB', 'INSERT INTO pictures SELECT i, decode(repeat(md5(i::text), 2000), ''hex'') FROM generate_series(1, 500) i');
	CALL run('sync: UPDATE of another column of 20,000 rows', 'UPDATE at_once SET price = 2');
	CALL run('sync: UPDATE of the text of 20,000 rows, 100 texts', 'UPDATE at_once SET content = ''text '' || (id + 1) % 100');
END LOOP; END $$;
SELECT what, round(min(ms)::numeric, 1) FROM times GROUP BY what ORDER BY what;
END
