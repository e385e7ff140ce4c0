//! What the Hugging Face hub's API and its file addresses say.
//!
//! `api/models/ORG/NAME/revision/R?blobs=true` lists the files with their sizes and checksums and names the commit;
//! `ORG/NAME/resolve/COMMIT/FILE` is a file, or a redirect to where it lies with what it is in `X-Linked-*` headers.

use std::collections::BTreeMap;
use std::time::Duration;

use clip_core::{Error, ErrorKind, Result};
use serde::Deserialize;
use ureq::http::HeaderMap;

use super::checksum::Checksum;
use super::http::{Attempt, Client, Failure, Reply, unreadable};
use super::retry::retrying;

/// Far above the listing of any model.
const MAX_LISTING: u64 = 16 << 20;

/// A repository at a revision: a branch, a tag or a commit.
pub struct Repository {
    pub id: String,
    pub revision: String,
}

impl Repository {
    pub fn new(id: &str, revision: &str) -> Result<Self> {
        let part = |part: &str| {
            let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
            !part.is_empty() && part.len() <= 96 && part.bytes().all(allowed) && !part.contains("..")
        };
        if !id.split_once('/').is_some_and(|(organisation, name)| part(organisation) && part(name)) {
            return Err(Error::new(ErrorKind::InvalidArgument, format!("invalid repository \"{id}\""))
                .with_hint("A repository is ORG/NAME, as in openai/clip-vit-base-patch32."));
        }
        if revision.len() > 200 || !revision.split('/').all(part) {
            return Err(Error::new(ErrorKind::InvalidArgument, format!("invalid revision \"{revision}\"")));
        }
        Ok(Self { id: id.into(), revision: revision.into() })
    }
}

/// A file of a repository.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteFile {
    pub name: String,
    pub size: u64,
    pub checksum: Checksum,
}

/// All files of a repository at one commit, those that an import may want among them.
pub struct Listing {
    pub commit: String,
    files: BTreeMap<String, Sibling>,
}

impl Listing {
    pub fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }
}

#[derive(Deserialize)]
struct ModelInfo {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    size: Option<u64>,
    sha256: Option<String>,
}

pub struct Hub {
    client: Client,
    endpoint: String,
    has_token: bool,
}

impl Hub {
    pub fn new(endpoint: &str, token: Option<String>, timeout: Duration) -> Result<Self> {
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let has_token = token.is_some();
        Ok(Self { client: Client::new(&endpoint, token, timeout)?, endpoint, has_token })
    }

    pub fn list(&self, repository: &Repository) -> Result<Listing> {
        let Repository { id, revision } = repository;
        let url = format!("{}/api/models/{id}/revision/{}?blobs=true", self.endpoint, revision.replace('/', "%2F"));
        let bytes = retrying(|| {
            let reply = self.client.get(&url, 0)?;
            if reply.status != 200 {
                return Err(self.refusal(&reply, repository).into());
            }
            let body = reply.body.into_with_config().limit(MAX_LISTING).read_to_vec();
            body.map_err(|e| match e {
                ureq::Error::BodyExceedsLimit(limit) => {
                    Error::limit(format!("the hub's list of \"{id}\" is longer than {limit} bytes")).into()
                }
                e => Failure::Passing { what: format!("the hub's list of \"{id}\" broke off: {e}"), after: None },
            })
        })?;
        let info: ModelInfo = serde_json::from_slice(&bytes)
            .map_err(|e| unreadable(format!("the hub's list of \"{id}\" is not understood: {e}")))?;
        if !matches!(Checksum::from_hex(&info.sha), Some(Checksum::GitBlob(_))) {
            return Err(unreadable(format!("the hub names no commit of \"{id}\"")));
        }
        for Sibling { rfilename, .. } in &info.siblings {
            check_path(rfilename)?;
        }
        let files = info.siblings.into_iter().map(|file| (file.rfilename.clone(), file)).collect();
        Ok(Listing { commit: info.sha.to_ascii_lowercase(), files })
    }

    /// Size and checksum of a file in the listing; asked for where a hub's listing leaves them out.
    pub fn file(&self, repository: &Repository, listing: &Listing, name: &str) -> Result<RemoteFile> {
        let missing = || unreadable(format!("\"{}\" has no file \"{name}\"", repository.id));
        let sibling = listing.files.get(name).ok_or_else(missing)?;
        let (mut size, mut checksum) = match &sibling.lfs {
            Some(lfs) => (lfs.size.or(sibling.size), lfs.sha256.as_deref().and_then(Checksum::from_hex)),
            None => (sibling.size, sibling.blob_id.as_deref().and_then(Checksum::from_hex)),
        };
        if size.is_none() || checksum.is_none() {
            let reply = retrying(|| self.open(repository, &listing.commit, name, 0))?;
            let linked = Linked::of(&reply.hub);
            let length = reply.headers.get("content-length").and_then(|value| value.to_str().ok()?.parse().ok());
            size = size.or(linked.size).or(length);
            checksum = checksum.or(linked.checksum);
        }
        match (size, checksum) {
            (Some(size), Some(checksum)) => Ok(RemoteFile { name: name.into(), size, checksum }),
            _ => Err(unreadable(format!("the hub gives no size or no checksum of \"{name}\""))),
        }
    }

    /// Asks for a file from byte `from` on. What the hub says of it must be what its listing said.
    pub fn open(&self, repository: &Repository, commit: &str, name: &str, from: u64) -> Attempt<Reply> {
        let reply = self.client.get(&format!("{}/{}/resolve/{commit}/{name}", self.endpoint, repository.id), from)?;
        if !matches!(reply.status, 200 | 206 | 416) {
            return Err(self.refusal(&reply, repository).context(format!("file \"{name}\"")).into());
        }
        if let Some(other) = Linked::of(&reply.hub).commit.filter(|other| other != commit) {
            return Err(unreadable(format!("file \"{name}\" is of commit {other}, expected {commit}")).into());
        }
        Ok(reply)
    }

    fn refusal(&self, reply: &Reply, repository: &Repository) -> Error {
        let Repository { id, revision } = repository;
        let header = |name| reply.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let said = match header("x-error-message") {
            "" => String::new(),
            message => format!(": {}", message.chars().filter(|c| !c.is_control()).take(200).collect::<String>()),
        };
        let page = format!("{}/{id}", self.endpoint);
        match (reply.status, header("x-error-code")) {
            (401 | 403, "GatedRepo") => unreadable(format!("repository \"{id}\" is gated{said}")).with_hint(format!(
                "Accept its terms at {page}, then set the environment variable HF_TOKEN to a token of that account."
            )),
            (401 | 403, _) if self.has_token => unreadable(format!("the hub refuses access to \"{id}\"{said}"))
                .with_hint("Check the spelling, and that the token in HF_TOKEN is valid and may read this repository."),
            // The hub answers so for what does not exist, too.
            (401 | 403, _) => unreadable(format!("repository \"{id}\" does not exist or is private{said}"))
                .with_hint("Check the spelling. For a private repository set the environment variable HF_TOKEN."),
            (404, "RevisionNotFound") => unreadable(format!("repository \"{id}\" has no revision \"{revision}\"")),
            (404, "EntryNotFound") => unreadable(format!("\"{id}\" does not have it at revision \"{revision}\"")),
            (404, _) => unreadable(format!("repository \"{id}\" does not exist at {}{said}", self.endpoint))
                .with_hint("Check the spelling: ORG/NAME, or a name that \"pgclip known\" lists."),
            (status, _) => unreadable(format!("the hub answered {status} for \"{id}\"{said}")),
        }
    }
}

/// What the hub's responses say of a file, wherever it lies.
#[derive(Default)]
pub struct Linked {
    pub commit: Option<String>,
    pub checksum: Option<Checksum>,
    size: Option<u64>,
}

impl Linked {
    pub fn of(hub: &[HeaderMap]) -> Self {
        let header = |name| hub.iter().find_map(|headers| headers.get(name)?.to_str().ok());
        Self {
            commit: header("x-repo-commit").map(str::to_ascii_lowercase),
            checksum: header("x-linked-etag").or(header("etag")).and_then(Checksum::from_etag),
            size: header("x-linked-size").and_then(|size| size.parse().ok()),
        }
    }
}

/// Git knows no such paths; whoever sends one is after other files.
fn check_path(path: &str) -> Result<()> {
    let odd = |part: &str| matches!(part, "" | "." | "..") || part.contains(['\\', '\0']);
    if path.split('/').any(odd) {
        return Err(unreadable(format!("the hub lists a file {path:?}, which is no path within a repository")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_and_revisions() {
        for (id, revision) in [("openai/clip-vit-base-patch32", "main"), ("a/b", "refs/pr/1"), ("A.b/c_d-e", "v1.0")] {
            assert!(Repository::new(id, revision).is_ok(), "{id} {revision}");
        }
        for (id, revision) in [
            ("clip", "main"),
            ("a/b/c", "main"),
            ("a/..", "main"),
            ("/b", "main"),
            ("a/b?x", "main"),
            ("a b/c", "main"),
            ("a/b", ""),
            ("a/b", "../../x"),
            ("a/b", "x?y"),
            ("a/b", "x y"),
        ] {
            assert!(Repository::new(id, revision).is_err(), "{id} {revision}");
        }
    }

    #[test]
    fn paths_of_a_listing() {
        assert!(check_path("onnx/model.onnx").is_ok() && check_path(".gitattributes").is_ok());
        for path in ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a\\b", "./x"] {
            assert!(check_path(path).is_err(), "{path}");
        }
    }
}
