//! The service file: named sections of parameters. PostgreSQL's documentation §34.17.

use std::path::{Path, PathBuf};
use std::{env, fs};

use clip_core::{Error, ErrorKind, Result};

use super::parameters::home;

/// Parameters of a service: of the user's file, else of the system's.
pub fn service(name: &str) -> Result<Vec<(String, String)>> {
    let own = env::var_os("PGSERVICEFILE").map(PathBuf::from).or_else(|| Some(home()?.join(".pg_service.conf")));
    let system = Path::new(&env::var_os("PGSYSCONFDIR").unwrap_or_else(|| "/etc/postgresql-common".into()))
        .join("pg_service.conf");
    for path in own.into_iter().chain([system]) {
        if let Ok(text) = fs::read_to_string(&path)
            && let Some(found) = section(&text, name)
        {
            return Ok(found);
        }
    }
    Err(Error::new(ErrorKind::InvalidArgument, format!("definition of service \"{name}\" not found")))
}

fn section(text: &str, name: &str) -> Option<Vec<(String, String)>> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.find(|line| line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) == Some(name))?;
    let pairs = lines.take_while(|line| !line.starts_with('[')).filter_map(|line| line.split_once('='));
    Some(pairs.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::section;

    #[test]
    fn sections() {
        let text = "# comment\n[a]\nhost=one\n\n[b]\nhost = two\nport=5433\n# more\n[c]\nhost=three\n";
        assert_eq!(section(text, "b").unwrap(), [("host".into(), "two".into()), ("port".into(), "5433".into())]);
        assert_eq!(section(text, "d"), None);
    }
}
