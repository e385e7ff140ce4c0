-- A table remembers its model; another one is refused with a hint.
SELECT clip_create_table('remembers');
INSERT INTO remembers (modality, content_ref) VALUES ('text', 'cat');
-- as if another model had been installed under the same name
BEGIN;
UPDATE clip.tables SET fingerprint = repeat('0', 64) WHERE relation = 'remembers'::regclass;
\set VERBOSITY sqlstate
SELECT clip_query('remembers', 'cat') IS NULL;
ROLLBACK;
CREATE TABLE by_hand (LIKE remembers INCLUDING DEFAULTS INCLUDING IDENTITY);
CREATE TRIGGER a_stale BEFORE INSERT ON by_hand FOR EACH ROW
	EXECUTE FUNCTION clip_embed_trigger('embedding', 'content_ref', 'image', 'modality', 'false', 'pictograms', '0');
INSERT INTO by_hand (modality, content_ref) VALUES ('text', 'dog');
DROP TABLE by_hand;
-- the model's name is checked before any file is looked at
SELECT clip_embed_text('x', 'no-such-model');
SELECT clip_embed_text('x', '../pictograms');
SELECT clip_embed_text('x', '/etc');
SELECT clip_embed_text('x', '');
SELECT clip_embed_text('x', 'Pictograms');
SET clip.model = 'no-such-model';
SELECT clip_embed_text('x');
-- the table goes on with its own
\set VERBOSITY default
SELECT content_ref FROM remembers ORDER BY embedding <=> clip_query('remembers', 'cat') LIMIT 1;
INSERT INTO remembers (modality, content_ref) VALUES ('text', 'dog');
RESET clip.model;
SELECT embedding = clip_embed_text(content_ref) AS embedded FROM remembers ORDER BY id;
\set VERBOSITY terse
SELECT clip_embed_text('x', 'no-such-model');
DROP TABLE remembers;
