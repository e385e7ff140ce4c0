//! Two loads of one part of a table would each insert what the other does.

use clip_core::{Error, ErrorKind, Result};
use postgres::Client;

use super::table::Table;
use crate::database::failed;

/// Holds the parts of a table whose names begin with these, as long as the client's transaction lasts.
///
/// A part is held alone, and what it is a part of together with others: loads of `a/b/` and `a/c/` go side by side, one of `a/` waits for
/// neither but fails. The locks are a transaction's, as a pooler between may give the session to others. The transaction has neither a
/// snapshot nor a number of its own, so that it keeps nothing from being cleaned up.
pub fn hold(client: &mut Client, table: &Table, prefixes: &[&str]) -> Result<()> {
    client.batch_execute("BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0").map_err(|e| failed(&e))?;
    for prefix in prefixes {
        let whole = prefix.trim_end_matches('/');
        let above = std::iter::once("")
            .chain(whole.match_indices('/').map(|(at, _)| &whole[..at]))
            .filter(|above| *above != whole);
        for (part, function) in
            above.map(|above| (above, "pg_try_advisory_xact_lock_shared")).chain([(whole, "pg_try_advisory_xact_lock")])
        {
            let sql = format!(
                "SELECT pg_catalog.{function}($1::oid::int8::bit(32)::int4, pg_catalog.hashtext('pgclip load ' || $2))"
            );
            if !client.query_one(&sql, &[&table.oid, &part]).map_err(|e| failed(&e))?.get::<_, bool>(0) {
                let message = format!("another load of \"{prefix}\" into {} is under way", table.name);
                return Err(Error::new(ErrorKind::InvalidArgument, message)
                    .with_hint("Wait until it ends; this command goes on from there."));
            }
        }
    }
    Ok(())
}
