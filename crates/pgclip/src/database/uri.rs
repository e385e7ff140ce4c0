//! Connection strings: URIs, and `key = 'value'` words. libpq's rules, PostgreSQL's documentation §34.1.1.

use clip_core::{Error, ErrorKind, Result};
use percent_encoding::percent_decode_str;

/// The parameters of a connection string in their order.
pub fn parse(words: &str) -> Result<Vec<(String, String)>> {
    if let Some(rest) = words.strip_prefix("postgresql://").or_else(|| words.strip_prefix("postgres://")) {
        parse_uri(rest)
    } else if words.contains('=') {
        parse_words(words)
    } else {
        Ok(vec![("dbname".into(), words.into())])
    }
}

fn invalid(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, format!("invalid connection string: {}", what.into()))
}

fn decode(text: &str) -> Result<String> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| invalid("a percent-encoded part is not UTF-8"))?;
    if decoded.contains('\0') {
        return Err(invalid("%00 is not allowed"));
    }
    Ok(decoded.into_owned())
}

/// `USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE?KEY=VALUE&...`, each part optional.
fn parse_uri(rest: &str) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut put = |key: &str, value: &str| -> Result<()> {
        if !value.is_empty() {
            found.push((key.to_owned(), decode(value)?));
        }
        Ok(())
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    // A password may hold an @ that nobody encoded; hosts hold none.
    let (who, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = who.split_once(':').unwrap_or((who, ""));
    put("user", user)?;
    put("password", password)?;
    let (mut names, mut ports) = (Vec::new(), Vec::new());
    for host in hosts.split(',') {
        let (name, port) = match host.strip_prefix('[') {
            Some(v6) => {
                let (name, port) = v6.split_once(']').ok_or_else(|| invalid("a [ without its ]"))?;
                (name, port.strip_prefix(':').unwrap_or(port))
            }
            None => host.rsplit_once(':').unwrap_or((host, "")),
        };
        names.push(name);
        ports.push(port);
    }
    put("host", if names.iter().all(|name| name.is_empty()) { String::new() } else { names.join(",") }.as_str())?;
    put("port", if ports.iter().all(|port| port.is_empty()) { String::new() } else { ports.join(",") }.as_str())?;
    put("dbname", database)?;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or_else(|| invalid(format!("\"{pair}\" has no =")))?;
        match (key, value) {
            ("ssl", "true") => put("sslmode", "require")?,
            _ => put(key, value)?,
        }
    }
    Ok(found)
}

/// `key=value key = 'a value'`, with backslashes before quotes and backslashes.
fn parse_words(words: &str) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut rest = words.trim_start();
    while !rest.is_empty() {
        let (key, value) =
            rest.split_once('=').ok_or_else(|| invalid(format!("missing \"=\" after \"{}\"", rest.trim_end())))?;
        let key = key.trim();
        if key.is_empty() || key.contains(char::is_whitespace) {
            return Err(invalid(format!(
                "missing \"=\" after \"{}\"",
                key.split_whitespace().next().unwrap_or_default()
            )));
        }
        let value = value.trim_start();
        let (quoted, mut at) = match value.strip_prefix('\'') {
            Some(inner) => (true, inner.char_indices()),
            None => (false, value.char_indices()),
        };
        let text = at.as_str();
        let mut end = None;
        let mut taken = String::new();
        while let Some((place, c)) = at.next() {
            match c {
                '\\' => taken.extend(at.next().map(|(_, c)| c)),
                '\'' if quoted => {
                    end = Some(place + 1);
                    break;
                }
                c if !quoted && c.is_whitespace() => {
                    end = Some(place);
                    break;
                }
                c => taken.push(c),
            }
        }
        if quoted && end.is_none() {
            return Err(invalid("a quoted value does not end"));
        }
        rest = text[end.unwrap_or(text.len())..].trim_start();
        found.push((key.to_owned(), taken));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn told(words: &str) -> String {
        match parse(words) {
            Ok(found) => found.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" "),
            Err(e) => e.to_string(),
        }
    }

    #[test]
    fn uris() {
        assert_eq!(told("postgresql://"), "");
        assert_eq!(told("postgres:///photos"), "dbname=photos");
        assert_eq!(
            told("postgresql://a%40b:p%2Fw@db.example:5433/photos?sslmode=verify-full"),
            "user=a@b password=p/w host=db.example port=5433 dbname=photos sslmode=verify-full"
        );
        assert_eq!(told("postgresql://[::1]:5433,other/x"), "host=::1,other port=5433, dbname=x");
        assert_eq!(told("postgresql://%2Fvar%2Frun/x"), "host=/var/run dbname=x");
        assert_eq!(told("postgresql:///x?host=/tmp&ssl=true"), "dbname=x host=/tmp sslmode=require");
        assert_eq!(told("postgresql://[::1/x"), "invalid connection string: a [ without its ]");
        assert_eq!(told("postgresql:///x?sslmode"), "invalid connection string: \"sslmode\" has no =");
    }

    #[test]
    fn words() {
        assert_eq!(told("photos"), "dbname=photos");
        assert_eq!(told(r"host=/tmp password = 'it\'s \\ fine' user=a\ b"), r"host=/tmp password=it's \ fine user=a b");
        assert_eq!(told("dbname=''"), "dbname=");
        assert_eq!(told("host=a port"), "invalid connection string: missing \"=\" after \"port\"");
        assert_eq!(told("host='a"), "invalid connection string: a quoted value does not end");
    }
}
