//! Connections to a server, found as psql finds them.

mod failure;
mod parameters;
mod passwords;
mod sections;
mod tls;
mod uri;

use clip_core::{Error, ErrorKind, Result};
use postgres::config::SslMode;
use postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

pub use failure::failed;
use parameters::Parameters;

/// A server and database, and how to reach them. Clones connect alike.
#[derive(Clone)]
pub struct Target {
    config: Config,
    tls: MakeRustlsConnect,
}

impl Target {
    /// `words`: a URI, `key=value` words or a database's name, as after psql's `-d`. What they leave out comes from the service file,
    /// the environment (`PGHOST` and so on), the password file, and libpq's defaults.
    pub fn new(words: Option<&str>) -> Result<Self> {
        let parameters = Parameters::complete(words)?;
        let (tls, mode) = tls::connector(&parameters)?;
        let mut config = parameters.config()?;
        config.ssl_mode(mode);
        if config.get_password().is_none()
            && let Some(password) = passwords::find(&parameters)?
        {
            config.password(password);
        }
        Ok(Self { config, tls })
    }

    pub fn connect(&self) -> Result<Client> {
        let mut client = self.config.connect(self.tls.clone()).map_err(|e| self.unreachable(&e))?;
        // Names are this program's own, whatever a role's settings say.
        client
            .batch_execute("SET client_min_messages = warning; SET DateStyle = ISO; SET bytea_output = hex")
            .map_err(|e| failed(&e))?;
        Ok(client)
    }

    /// For cancelling a client's statement from another thread.
    pub fn tls(&self) -> MakeRustlsConnect {
        self.tls.clone()
    }

    fn unreachable(&self, e: &postgres::Error) -> Error {
        if e.as_db_error().is_some() {
            return failed(e);
        }
        let place = self.place();
        let error =
            Error::new(ErrorKind::InvalidArgument, format!("could not connect to {place}: {}", failure::causes(e)));
        if self.config.get_password().is_none() && failure::causes(e).contains("password") {
            return error.with_hint("Give the password in ~/.pgpass, PGPASSWORD or the URL.");
        }
        if self.config.get_ssl_mode() == SslMode::Require {
            return error.with_hint("sslmode and sslrootcert say what of the server's certificate is checked.");
        }
        error.with_hint("Name the server with --database postgresql://USER@HOST/DATABASE, or by PGHOST and PGDATABASE.")
    }

    fn place(&self) -> String {
        let hosts: Vec<String> = self
            .config
            .get_hosts()
            .iter()
            .map(|host| match host {
                postgres::config::Host::Tcp(name) => name.clone(),
                postgres::config::Host::Unix(path) => path.display().to_string(),
            })
            .collect();
        format!("database \"{}\" on \"{}\"", self.config.get_dbname().unwrap_or_default(), hosts.join(","))
    }
}
