//! Where the extension is in a database.

use clip_core::{Error, ErrorKind, Result};
use postgres::Client;

use crate::database::failed;

/// The extension as a database has it. It may be in any schema, which need not be on the search path.
#[derive(Clone)]
pub struct Extension {
    /// The schema of its functions and views, quoted.
    pub schema: String,
    /// The schema of pgvector's types, quoted.
    pub vectors: String,
    /// The version of its schema, which may be older than that of the library.
    pub version: String,
}

impl Extension {
    /// What the database has, if it has it.
    pub fn look(client: &mut Client) -> Result<Option<Self>> {
        let sql = "SELECT pg_catalog.quote_ident(n.nspname), pg_catalog.quote_ident(v.nspname), e.extversion
            FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
            CROSS JOIN pg_catalog.pg_extension o JOIN pg_catalog.pg_namespace v ON v.oid = o.extnamespace
            WHERE e.extname = 'pg_clip' AND o.extname = 'vector'";
        let row = client.query_opt(sql, &[]).map_err(|e| failed(&e))?;
        Ok(row.map(|row| Self { schema: row.get(0), vectors: row.get(1), version: row.get(2) }))
    }

    pub fn find(client: &mut Client) -> Result<Self> {
        if let Some(found) = Self::look(client)? {
            return Ok(found);
        }
        let sql = "SELECT pg_catalog.current_database()::text, EXISTS (SELECT FROM pg_catalog.pg_available_extensions WHERE name = 'pg_clip')";
        let row = client.query_one(sql, &[]).map_err(|e| failed(&e))?;
        let (database, available): (&str, bool) = (row.get(0), row.get(1));
        let message = format!("database \"{database}\" has no extension pg_clip");
        Err(Error::new(ErrorKind::Unsupported, message).with_hint(missing(available)))
    }
}

/// What to do where the extension is missing.
pub fn missing(available: bool) -> &'static str {
    if available {
        "In that database, as a superuser: CREATE EXTENSION pg_clip CASCADE."
    } else {
        "Install pg_clip on the server's machine, then in that database: CREATE EXTENSION pg_clip CASCADE."
    }
}
