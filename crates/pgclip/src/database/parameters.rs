//! The parameters of a connection: from words, service file, environment and defaults, the earlier first, as libpq takes them.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};

use clip_core::{Error, ErrorKind, Result};
use nix::unistd::{Uid, User, geteuid};
use postgres::Config;

use super::{sections, uri};

/// Parameter, environment variable.
const ENVIRONMENT: [(&str, &str); 19] = [
    ("host", "PGHOST"),
    ("hostaddr", "PGHOSTADDR"),
    ("port", "PGPORT"),
    ("dbname", "PGDATABASE"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("passfile", "PGPASSFILE"),
    ("service", "PGSERVICE"),
    ("options", "PGOPTIONS"),
    ("application_name", "PGAPPNAME"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
    ("load_balance_hosts", "PGLOADBALANCEHOSTS"),
    ("channel_binding", "PGCHANNELBINDING"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("gssencmode", "PGGSSENCMODE"),
];

/// What the client library takes as it is.
const TAKEN: [&str; 16] = [
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "options",
    "application_name",
    "connect_timeout",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "target_session_attrs",
    "load_balance_hosts",
];

/// What is read here, and what has no meaning for this program.
const KNOWN: [&str; 14] = [
    "passfile",
    "service",
    "channel_binding",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslsni",
    "sslcompression",
    "gssencmode",
    "krbsrvname",
    "client_encoding",
    "fallback_application_name",
    "keepalives_count",
];

pub struct Parameters(BTreeMap<String, String>);

impl Parameters {
    pub fn complete(words: Option<&str>) -> Result<Self> {
        let mut all = Self(BTreeMap::new());
        for (key, value) in words.map(uri::parse).transpose()?.into_iter().flatten() {
            if !TAKEN.contains(&key.as_str()) && !KNOWN.contains(&key.as_str()) {
                let message = format!("invalid connection option \"{key}\"");
                return Err(Error::new(ErrorKind::InvalidArgument, message));
            }
            // The last of several counts.
            all.0.insert(key, value);
        }
        let service = all.get("service").map(str::to_owned).or_else(|| env::var("PGSERVICE").ok());
        if let Some(name) = service.filter(|name| !name.is_empty()) {
            for (key, value) in sections::service(&name)? {
                all.or(&key, value);
            }
        }
        for (key, variable) in ENVIRONMENT {
            if let Ok(value) = env::var(variable)
                && !value.is_empty()
            {
                all.or(key, value);
            }
        }
        all.0.retain(|_, value| !value.is_empty());
        all.or("application_name", "pgclip".into());
        let port = all.get("port").unwrap_or("5432").to_owned();
        if all.get("hostaddr").is_none() {
            all.or("host", default_host(&port));
        }
        if let Some(name) = user() {
            all.or("user", name);
        }
        if let Some(user) = all.get("user").map(str::to_owned) {
            all.or("dbname", user);
        }
        if all.get("gssencmode") == Some("require") {
            return Err(Error::new(ErrorKind::Unsupported, "gssencmode=require is not supported"));
        }
        Ok(all)
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    fn or(&mut self, key: &str, value: String) {
        self.0.entry(key.to_owned()).or_insert(value);
    }

    /// For the client library, by its own reader of such words.
    pub fn config(&self) -> Result<Config> {
        let quoted = |value: &str| value.replace('\\', r"\\").replace('\'', r"\'");
        let taken = TAKEN.iter().chain(&["channel_binding"]);
        let words: Vec<String> = taken.filter_map(|key| Some(format!("{key}='{}'", quoted(self.get(key)?)))).collect();
        words
            .join(" ")
            .parse()
            .map_err(|e: postgres::Error| Error::new(ErrorKind::InvalidArgument, super::failure::causes(&e)))
    }
}

pub fn home() -> Option<PathBuf> {
    env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from).or_else(|| Some(of(geteuid())?.dir))
}

fn user() -> Option<String> {
    Some(of(geteuid())?.name)
}

fn of(user: Uid) -> Option<User> {
    User::from_uid(user).ok()?
}

/// The directory of the server's socket: Debian's, or the one of PostgreSQL's source; else the network.
fn default_host(port: &str) -> String {
    let port = port.split(',').next().unwrap_or_default();
    ["/var/run/postgresql", "/tmp"]
        .into_iter()
        .find(|dir| Path::new(dir).join(format!(".s.PGSQL.{port}")).exists())
        .unwrap_or("localhost")
        .to_owned()
}
