// Texts and pictures with node-postgres.
import { readFile } from 'node:fs/promises'
import pg from 'pg'

const picture = (name) => readFile(`models/demo/pictures/${name}`)
const texts = ['a cat asleep on a sofa', 'a bowl of fruit', 'the road to the sea']
const names = ['cat-face.png', 'dog-face.png', 'red-apple.png', 'pear.png']
const print = (title, { rows }) => console.log([title, ...rows.map((row) => row.content_ref)].join('\n  '))

const pool = new pg.Pool()
await pool.query("SELECT clip_create_table('items')")
await pool.query("INSERT INTO items (modality, content_ref) SELECT 'text', unnest($1::text[])", [texts])
for (const name of names) {
  const values = [name, await picture(name), { face: name.includes('face') }]
  await pool.query("INSERT INTO items (modality, content_ref, image, metadata) VALUES ('image', $1, $2, $3)", values)
}

// Words find pictures. With a name the statement is prepared once for each connection.
const words = "SELECT content_ref FROM items WHERE modality = $1 ORDER BY embedding <=> clip_query('items', $2) LIMIT 2"
print('words:', await pool.query({ name: 'words', text: words, values: ['image', 'a kitten'] }))

// A picture finds pictures and texts. The cast is needed: pg sends a Buffer without a type, and means text.
const like = "SELECT content_ref FROM items ORDER BY embedding <=> clip_query('items', $1::bytea) LIMIT 3"
print('picture:', await pool.query(like, [await picture('tangerine.png')]))

// With a filter that no index is made for, an index scan may end before LIMIT is reached. For this transaction:
const client = await pool.connect()
await client.query('BEGIN')
await client.query('SET LOCAL hnsw.iterative_scan = strict_order')
const faces = "SELECT content_ref FROM items WHERE metadata @> $1 ORDER BY embedding <=> clip_query('items', $2) LIMIT 2"
print('filter:', await client.query(faces, [{ face: true }, 'a kitten']))
await client.query('COMMIT')
client.release()

// clip_search looks until there are k rows. Its picture is clip_search('items', image => $1).
const search = "SELECT content_ref FROM clip_search('items', query => $1, k => $2)"
print('search:', await pool.query(search, ['a pet', 3]))
await pool.end()
