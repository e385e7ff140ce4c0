-- the statement that fills the queue is planned once a session: it keeps up with what becomes of the tables
SELECT clip_create_table('kept', mode => 'async', index => false);
INSERT INTO kept (modality, content_ref) SELECT 'text', 'cat' FROM generate_series(1, 3);
INSERT INTO kept (modality, content_ref) VALUES ('text', 'cat');
INSERT INTO kept (modality, content_ref) VALUES ('text', 'cat');
ALTER TABLE kept ADD COLUMN extra text DEFAULT 'x';
INSERT INTO kept (modality, content_ref) VALUES ('text', 'with a column more');
ALTER TABLE kept ALTER id DROP IDENTITY;
ALTER TABLE kept ALTER id TYPE numeric;
INSERT INTO kept (id, modality, content_ref) VALUES (7.5, 'text', 'another type of key');
ALTER TABLE kept DROP CONSTRAINT kept_pkey, ADD PRIMARY KEY (extra, id);
INSERT INTO kept (id, modality, content_ref) VALUES (8, 'text', 'another key');
DO $$ BEGIN
	FOR i IN 1..8 LOOP
		INSERT INTO kept (id, modality, content_ref) VALUES (10 + i, 'text', 'many ' || i);
	END LOOP;
END $$;
SELECT key, count(*) OVER () FROM clip.queue ORDER BY id;
DROP TABLE kept;
SELECT clip_create_table('kept', mode => 'async', index => false);
INSERT INTO kept (modality, content_ref) VALUES ('text', 'cat');
SELECT relation, key FROM clip.queue;
DROP TABLE kept;
