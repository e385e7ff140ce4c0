//! The questions that `status` puts to a server. Each may fail alone: a role sees less than another, an older schema has less.

use clip_core::{Error, Result};
use postgres::{Client, GenericClient, IsolationLevel};
use serde::de::DeserializeOwned;

use super::report::{Background, Report, Table, Versions};
use crate::database::failed;
use crate::extension::Extension;

const SERVER: &str =
    "SELECT current_database() AS database, current_setting('server_version') AS version, current_user AS role,
    (SELECT default_version FROM pg_available_extensions WHERE name = 'pg_clip') AS available";

/// The library defines `clip.preload` as a setting of the server's start where it was loaded then. `shared_preload_libraries` itself is not
/// shown to everybody.
const BACKGROUND: &str = "SELECT
    (SELECT s.context = 'postmaster' FROM pg_settings s WHERE s.name = 'clip.preload') AS preloaded,
    (SELECT s.setting::integer FROM pg_settings s WHERE s.name = 'clip.workers') AS workers,
    CASE WHEN pg_has_role('pg_read_all_stats', 'USAGE') THEN
        (SELECT count(*) FROM pg_stat_activity a WHERE a.backend_type = 'pg_clip worker' AND a.datname = current_database()) END AS running";

/// Heaps of up to this many bytes are counted; vectors and images lie beside them, and are not read.
const CHEAP: i64 = 32 << 20;

/// The numbers of larger tables, and of those that the role may not read, are the planner's.
const TABLES: &str = "SELECT t.relation::text AS relation, t.embedding_column, t.model, t.fingerprint, t.mode, t.pending, e.rows,
        (e.rows * s.null_frac)::bigint AS without_vector, false AS counted,
        CASE WHEN e.bytes <= {CHEAP} AND has_table_privilege(c.oid, 'SELECT') THEN format(
            'SELECT count(*) AS rows, count(*) FILTER (WHERE %I IS NULL AND %s) AS without_vector FROM %s%I.%I',
            t.embedding_column, CASE WHEN t.modality_column IS NULL THEN format('(%s IS NOT NULL OR %s IS NOT NULL)', o.image, o.text)
                ELSE format('CASE %I::text WHEN ''text'' THEN %s IS NOT NULL WHEN ''image'' THEN %s IS NOT NULL ELSE false END',
                    t.modality_column, o.text, o.image) END,
            CASE c.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END, n.nspname, c.relname) END AS count
    FROM clip.tables t JOIN pg_class c ON c.oid = t.relation JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL (SELECT coalesce(quote_ident(t.text_column), 'NULL') AS text, coalesce(quote_ident(t.image_column), 'NULL') AS image) o
    CROSS JOIN LATERAL (SELECT sum(l.reltuples) FILTER (WHERE l.reltuples >= 0)::bigint AS rows, sum(pg_relation_size(l.oid)) AS bytes
        FROM pg_class l WHERE l.oid = c.oid OR c.relkind = 'p' AND l.oid IN (SELECT p.relid FROM pg_partition_tree(c.oid) p WHERE p.isleaf)) e
    LEFT JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = t.embedding_column
        AND s.inherited = (c.relkind = 'p')
    ORDER BY t.relation::text, t.pending, t.embedding_column";

const MODELS: &str =
    "SELECT name, architecture, dimensions, bytes, licence, fingerprint FROM {S}.clip_models() ORDER BY name";

const QUEUE: &str = "SELECT relation::text AS relation, embedding_column, waiting, claimed, retrying, dead,
    extract(epoch FROM age)::float8 AS age_seconds, workers FROM {S}.clip_queue ORDER BY relation::text, embedding_column";

const FAILURES: &str = "SELECT relation::text AS relation, sqlstate, state, count(*) AS rows, min(message) AS message
    FROM {S}.clip_failures GROUP BY 1, 2, 3 ORDER BY 1, count(*) DESC, 2, 3";

const PROGRESS: &str = "SELECT relation::text AS relation, embedding_column, model, command, phase, running, rows_total, rows_done, rows_failed,
    rows_per_second, extract(epoch FROM estimated_end - clock_timestamp())::float8 AS seconds_left FROM {S}.clip_progress
    ORDER BY relation::text, embedding_column";

/// Everything but the hints.
pub fn gather(client: &mut Client) -> Result<Report> {
    // Nothing here is worth a wait for somebody's lock.
    client
        .batch_execute("SET default_transaction_read_only = on; SET statement_timeout = '15s'; SET lock_timeout = '2s'")
        .map_err(|e| failed(&e))?;
    let mut report = Report {
        server: one(client, SERVER)?,
        extension: None,
        background: Background::default(),
        models: Vec::new(),
        tables: Vec::new(),
        queue: Vec::new(),
        failures: Vec::new(),
        progress: Vec::new(),
        problems: Vec::new(),
        hints: Vec::new(),
    };
    let Some(extension) = Extension::look(client)? else { return Ok(report) };
    let mut problems = Vec::new();
    report.extension = Some(versions(client, &extension, &mut problems)?);
    report.background = one(client, BACKGROUND)?;
    let mut ask = Asker { schema: &extension.schema, problems: &mut problems };
    report.models = ask.all(client, "models", MODELS);
    // Of one moment: a row that is embedded meanwhile must not be missing in one list and not wait in another.
    let snapshot = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true).start();
    let mut snapshot = snapshot.map_err(|e| failed(&e))?;
    report.tables = ask.all(&mut snapshot, "tables", &TABLES.replace("{CHEAP}", &CHEAP.to_string()));
    report.queue = ask.all(&mut snapshot, "queue", QUEUE);
    report.failures = ask.all(&mut snapshot, "failures", FAILURES);
    report.progress = ask.all(&mut snapshot, "progress", PROGRESS);
    for table in &mut report.tables {
        count(&mut snapshot, table);
    }
    snapshot.rollback().map_err(|e| failed(&e))?;
    report.problems = problems;
    Ok(report)
}

fn versions(client: &mut Client, extension: &Extension, problems: &mut Vec<String>) -> Result<Versions> {
    // This loads the library, by which the settings are known from here on. The schema of 0.1.0 has no such function.
    let library = client.query_one("SELECT clip.library_version()", &[]).map(|row| row.get(0));
    let library = library.map_err(|e| problems.push(format!("library: {}", failed(&e)))).ok();
    let sql = "SELECT CASE WHEN n.nspname = ANY (current_schemas(true)) THEN '' ELSE quote_ident(n.nspname) || '.' END
        FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_clip'";
    let row = client.query_one(sql, &[]).map_err(|e| failed(&e))?;
    Ok(Versions { schema: extension.schema.clone(), version: extension.version.clone(), library, prefix: row.get(0) })
}

struct Asker<'a> {
    schema: &'a str,
    problems: &'a mut Vec<String>,
}

impl Asker<'_> {
    /// The rows, or none and a problem.
    fn all<T: DeserializeOwned>(&mut self, client: &mut impl GenericClient, what: &str, sql: &str) -> Vec<T> {
        all(client, &sql.replace("{S}", self.schema)).unwrap_or_else(|e| {
            self.problems.push(format!("{what}: {e}"));
            Vec::new()
        })
    }
}

#[derive(serde::Deserialize)]
struct Counted {
    rows: i64,
    without_vector: i64,
}

/// Replaces the estimate where it is cheap to count. What fails leaves it: a policy of the table's, a lock, an hour's work.
fn count(client: &mut impl GenericClient, table: &mut Table) {
    let Some(statement) = table.count.take() else { return };
    if let Ok(Counted { rows, without_vector }) = one(client, &statement) {
        (table.rows, table.without_vector, table.counted) = (Some(rows), Some(without_vector), true);
    }
}

/// In a transaction of its own, or under a savepoint: one that fails does not end the others.
fn all<T: DeserializeOwned>(client: &mut impl GenericClient, sql: &str) -> Result<Vec<T>> {
    let sql = format!("SELECT coalesce(json_agg(to_json(r)), '[]')::text FROM ({sql}) r");
    let mut inner = client.transaction().map_err(|e| failed(&e))?;
    let row = inner.query_one(&sql, &[]).map_err(|e| failed(&e))?;
    serde_json::from_str(row.get(0)).map_err(|e| Error::internal(format!("the server's answer: {e}")))
}

fn one<T: DeserializeOwned>(client: &mut impl GenericClient, sql: &str) -> Result<T> {
    all(client, sql)?.pop().ok_or_else(|| Error::internal("the server's answer has no row"))
}
