-- The settings: who may set them, their ranges, typos.
SELECT vector_dims(clip_embed_text('load the library')) > 0 AS loaded;
SELECT name, vartype, context, boot_val, min_val, max_val, unit FROM pg_settings WHERE name LIKE 'clip.%' ORDER BY 1;
SELECT name FROM pg_settings WHERE name LIKE 'clip.%' AND (short_desc IS NULL OR extra_desc IS NULL);
\set VERBOSITY sqlstate
SET clip.modell = 'pictograms';
SET clip.threads = -1;
SET clip.threads = 1000;
SET clip.precision = 'f16';
SET clip.precision = 'bf16';
SELECT clip_embed_text('a cat and a dog') AS bf16 \gset
SET clip.precision = 'int8';
SELECT clip_embed_text('a cat and a dog') AS int8 \gset
SET clip.precision = 'f32';
SELECT clip_embed_text('a cat and a dog') AS f32 \gset
RESET clip.precision;
-- close to each other and not the same: the memo keeps them apart (the model's own weights are bf16, which f32 holds)
SELECT :'f32' <> :'int8' AS differs, (:'f32'::vector <=> :'int8'::vector) < 1e-2 AS int8_is_close,
	(:'f32'::vector <=> :'bf16'::vector) < 1e-3 AS bf16_is_close;
-- the number of threads does not change a vector
SET clip.cache_entries = 0;
SET clip.threads = 1;
SELECT clip_embed_text('a cat and a dog') AS v1 \gset
SET clip.threads = 2;
SELECT clip_embed_text('a cat and a dog') <=> :'v1' < 1e-6 AS same;
RESET clip.threads;
RESET clip.cache_entries;
-- limits are the superuser's
CREATE ROLE clip_settings_user;
SET ROLE clip_settings_user;
SET clip.max_image_pixels = 1000000;
SET clip.max_image_bytes = 1000000;
SET clip.max_memory = '1GB';
SET clip.threads = 250;
SET clip.model_dir = '/tmp';
SET clip.model = 'pictograms';
SET clip.threads = 1;
RESET ROLE;
DROP ROLE clip_settings_user;
SET clip.model_dir = '/nonexistent';
SELECT clip_embed_text('x');
SELECT count(*) FROM clip_models();
RESET clip.model_dir;
SELECT vector_dims(clip_embed_text('x')) > 0 AS embeds;
