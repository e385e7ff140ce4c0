-- Texts become unit vectors; equal texts equal vectors; near texts near vectors.
SELECT abs(vector_norm(clip_embed_text('a cat')) - 1) < 1e-5 AS unit;
SELECT clip_embed_text('a cat') = clip_embed_text('a cat') AS same, clip_embed_text('a cat') = clip_embed_text('a dog') AS other;
SELECT clip_embed_text('cat face') <=> clip_embed_text('cat') < clip_embed_text('cat face') <=> clip_embed_text('airplane') AS nearer;
-- case and white space do not matter to CLIP's tokenizer
SELECT clip_embed_text('A  CAT ') = clip_embed_text('a cat') AS normalised;
-- the session's model and the same one by name
SELECT clip_embed_text('a cat') <=> clip_embed_text('a cat', 'pictograms') < 1e-3 AS named;
-- NULL in, NULL out; an empty text is a text
SELECT clip_embed_text(NULL) IS NULL AS null_text, clip_embed_text('x', NULL) IS NULL AS null_model, vector_norm(clip_embed_text('')) > 0.99 AS empty;
-- longer than the context: cut, not refused, and the cut part does not matter
SELECT clip_embed_text(repeat('cat dog ', 1000)) = clip_embed_text(repeat('cat dog ', 100) || 'airplane') AS cut;
SELECT abs(vector_norm(clip_embed_text(repeat('x', 1000000))) - 1) < 1e-5 AS a_million_letters;
-- every script
SELECT abs(vector_norm(clip_embed_text(t)) - 1) < 1e-5 AS unit FROM unnest(ARRAY['Katze', 'кошка', '猫', '🐈', 'قطة', E'tab\tand\nline', U&'\0301\200B']) t;
SELECT clip_token_count('') AS empty, clip_token_count('a') AS one, clip_token_count(repeat('a ', 100000)) AS many, clip_token_count(NULL) IS NULL AS null_text;
SELECT clip_token_count('a cat', 'pictograms') = clip_token_count('a cat') AS named;
