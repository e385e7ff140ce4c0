// Texts and pictures with pgx.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	ctx := context.Background()
	db := must(pgx.Connect(ctx, ""))
	defer db.Close(ctx)
	picture := func(name string) []byte { return must(os.ReadFile("models/demo/pictures/" + name)) }

	must(db.Exec(ctx, "SELECT clip_create_table('items')"))
	batch := &pgx.Batch{}
	for _, text := range []string{"a cat asleep on a sofa", "a bowl of fruit", "the road to the sea"} {
		batch.Queue("INSERT INTO items (modality, content_ref) VALUES ('text', $1)", text)
	}
	for _, name := range []string{"cat-face.png", "dog-face.png", "red-apple.png", "pear.png"} {
		batch.Queue("INSERT INTO items (modality, content_ref, image) VALUES ('image', $1, $2)", name, picture(name))
	}
	if err := db.SendBatch(ctx, batch).Close(); err != nil {
		panic(err)
	}

	found := func(title, sql string, arguments ...any) {
		names := must(pgx.CollectRows(must(db.Query(ctx, sql, arguments...)), pgx.RowTo[string]))
		fmt.Println(title + "\n  " + strings.Join(names, "\n  "))
	}
	// pgx asks PostgreSQL for the types of parameters, so that a string is the column's enum, or a text.
	found("words:", `SELECT content_ref FROM items WHERE modality = $1
		ORDER BY embedding <=> clip_query('items', $2) LIMIT 2`, "image", "a kitten")
	// The cast is needed: PostgreSQL takes text where a parameter has no type.
	found("picture:", `SELECT content_ref FROM items
		ORDER BY embedding <=> clip_query('items', $1::bytea) LIMIT 3`, picture("tangerine.png"))
	found("search:", `SELECT content_ref FROM clip_search('items', query => $1, k => $2)`, "a pet", 3)
}
