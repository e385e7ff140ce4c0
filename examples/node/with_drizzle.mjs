// The table in Drizzle's schema.
import { readFile } from 'node:fs/promises'
import { eq, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { bigint, customType, jsonb, pgEnum, pgTable, text, vector } from 'drizzle-orm/pg-core'
import pg from 'pg'

const picture = (name) => readFile(`models/demo/pictures/${name}`)
const texts = ['a cat asleep on a sofa', 'a bowl of fruit', 'the road to the sea']
const names = ['cat-face.png', 'dog-face.png', 'red-apple.png', 'pear.png']
const print = (title, rows) => console.log([title, ...rows.map((row) => row.contentRef)].join('\n  '))

const bytea = customType({ dataType: () => 'bytea' })
const items = pgTable('items', {
  id: bigint({ mode: 'number' }).primaryKey().generatedByDefaultAsIdentity(),
  modality: pgEnum('clip_modality', ['text', 'image'])().notNull(),
  contentRef: text('content_ref'),
  metadata: jsonb(),
  image: bytea(), // input only: NULL in the table after INSERT
  embedding: vector({ dimensions: 256 }),
})

const pool = new pg.Pool()
const db = drizzle({ client: pool })
await db.execute(sql`SELECT clip_create_table('items')`) // a migration of your own: drizzle-kit generate --custom
await db.insert(items).values(texts.map((contentRef) => ({ modality: 'text', contentRef })))
const pictures = names.map(async (name) => ({ modality: 'image', contentRef: name, image: await picture(name) }))
await db.insert(items).values(await Promise.all(pictures))

// Name the columns: select() alone, and db.query, read vectors along.
const { contentRef } = items
const kitten = sql`${items.embedding} <=> clip_query('items', ${'a kitten'})`
print('words:', await db.select({ contentRef }).from(items).where(eq(items.modality, 'image')).orderBy(kitten).limit(2))

// The cast is needed: pg sends a Buffer without a type, and PostgreSQL takes text.
const tangerine = sql`${items.embedding} <=> clip_query('items', ${await picture('tangerine.png')}::bytea)`
print('picture:', await db.select({ contentRef }).from(items).orderBy(tangerine).limit(3))

const found = sql`clip_search('items', query => ${'a pet'}, k => ${3})`
print('search:', await db.select({ contentRef: sql`content_ref` }).from(found))
await pool.end()
