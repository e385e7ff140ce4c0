//! The password file: `host:port:database:user:password` a line. PostgreSQL's documentation §34.16.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use clip_core::Result;

use super::parameters::{Parameters, home};

/// The password of the first line that is about this connection.
pub fn find(parameters: &Parameters) -> Result<Option<String>> {
    let named = parameters.get("passfile").filter(|path| !path.is_empty()).map(PathBuf::from);
    let Some(path) = named.or_else(|| Some(home()?.join(".pgpass"))) else { return Ok(None) };
    let Ok(metadata) = fs::metadata(&path) else { return Ok(None) };
    if !metadata.is_file() {
        return Ok(None);
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        eprintln!(
            "pgclip: password file \"{}\" is ignored: others may read it; its permissions should be u=rw (0600)",
            path.display()
        );
        return Ok(None);
    }
    let Ok(text) = fs::read_to_string(&path) else { return Ok(None) };
    let first = |key: &str| parameters.get(key).and_then(|list| list.split(',').next()).unwrap_or_default().to_owned();
    let host = Some(first("host")).filter(|host| !host.starts_with('/')).unwrap_or_else(|| "localhost".into());
    let port = Some(first("port")).filter(|port| !port.is_empty()).unwrap_or_else(|| "5432".into());
    let who = [host, port, first("dbname"), first("user")];
    Ok(text.lines().filter(|line| !line.starts_with('#')).find_map(|line| password(line, &who)))
}

/// The password of a line, where its four fields are these values or `*`.
fn password(line: &str, who: &[String; 4]) -> Option<String> {
    let mut fields = vec![String::new()];
    let mut escaped = Vec::new();
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => {
                fields.last_mut()?.extend(characters.next());
                escaped.push(fields.len());
            }
            ':' if fields.len() < 5 => fields.push(String::new()),
            c => fields.last_mut()?.push(c),
        }
    }
    let fits = who
        .iter()
        .zip(&fields)
        .enumerate()
        .all(|(at, (value, field))| (field == "*" && !escaped.contains(&(at + 1))) || field == value);
    (fields.len() == 5 && fits).then(|| fields.swap_remove(4)).filter(|password| !password.is_empty())
}

#[cfg(test)]
mod tests {
    use super::password;

    #[test]
    fn lines() {
        let who = ["db.example", "5432", "photos", "ann"].map(str::to_owned);
        assert_eq!(password("*:*:*:ann:secret", &who).as_deref(), Some("secret"));
        assert_eq!(password(r"db.example:5432:photos:ann:a\:b\\c:d", &who).as_deref(), Some(r"a:b\c:d"));
        assert_eq!(password("db.example:5433:*:*:secret", &who), None);
        assert_eq!(password(r"\*:*:*:ann:secret", &who), None);
        assert_eq!(password("db.example:5432:photos:ann", &who), None);
    }
}
