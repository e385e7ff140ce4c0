//! A hub on loopback that speaks the Hugging Face hub's protocol: the API's listing, `resolve` with `X-Linked-*`
//! headers, large files behind a redirect to another port, byte ranges.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::{Models, Run, pgclip, run, source};

pub const REPOSITORY: &str = "tiny/Tiny-CLIP";
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

#[derive(Clone, Debug)]
pub struct Request {
    /// `hub`, or `cdn` for where large files lie.
    pub host: &'static str,
    pub path: String,
    pub headers: BTreeMap<String, String>,
}

impl Request {
    pub fn is_file(&self, name: &str) -> bool {
        self.path.split('?').next().unwrap().ends_with(&format!("/{name}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

#[derive(Clone)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// Closes the connection after so many bytes of the body.
    pub cut: Option<usize>,
    /// Waits after every 16 kB.
    pub pause: Duration,
    pub chunked: bool,
}

impl Response {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![], body: body.into(), cut: None, pause: Duration::ZERO, chunked: false }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        write!(out, "HTTP/1.1 {} X\r\nConnection: close\r\n", self.status)?;
        for (name, value) in &self.headers {
            write!(out, "{name}: {value}\r\n")?;
        }
        if self.chunked {
            write!(out, "Transfer-Encoding: chunked\r\n\r\n")?;
        } else {
            write!(out, "Content-Length: {}\r\n\r\n", self.body.len())?;
        }
        let body = &self.body[..self.cut.unwrap_or(self.body.len()).min(self.body.len())];
        for chunk in body.chunks(16 << 10) {
            if self.chunked {
                write!(out, "{:x}\r\n", chunk.len())?;
            }
            out.write_all(chunk)?;
            if self.chunked {
                write!(out, "\r\n")?;
            }
            out.flush()?;
            thread::sleep(self.pause);
        }
        if self.chunked && self.cut.is_none() {
            write!(out, "0\r\n\r\n")?;
        }
        out.flush()
    }
}

/// Answers instead of the hub, or changes the hub's answer, which it is given.
pub type Rule = Box<dyn Fn(&Request, Response) -> Response + Send + Sync>;

struct State {
    files: BTreeMap<String, Vec<u8>>,
    cdn: String,
    rule: Mutex<Rule>,
    log: Mutex<Vec<Request>>,
}

pub struct Hub {
    pub url: String,
    pub cache: TempDir,
    state: Arc<State>,
}

impl Hub {
    /// With the files of a tiny model, a model card, and some that no import reads.
    pub fn with(golden: &str) -> Self {
        let mut files: BTreeMap<String, Vec<u8>> = std::fs::read_dir(source(golden))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap()))
            .collect();
        files.insert("README.md".into(), b"---\nlicense: mit\n---\n# Tiny\n".to_vec());
        for other in ["tf_model.h5", "onnx/model.onnx", "flax_model.msgpack", ".gitattributes", "vocab.json"] {
            files.insert(other.into(), other.as_bytes().to_vec());
        }
        Self::new(files)
    }

    pub fn new(files: BTreeMap<String, Vec<u8>>) -> Self {
        let (hub, cdn) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let url = format!("http://{}", hub.local_addr().unwrap());
        let state = Arc::new(State {
            files,
            cdn: format!("http://{}", cdn.local_addr().unwrap()),
            rule: Mutex::new(Box::new(|_, response| response)),
            log: Mutex::default(),
        });
        for (host, listener) in [("hub", hub), ("cdn", cdn)] {
            let state = state.clone();
            thread::spawn(move || {
                for connection in listener.incoming().flatten() {
                    let state = state.clone();
                    thread::spawn(move || state.serve(host, connection));
                }
            });
        }
        Self { url, cache: TempDir::new().unwrap(), state }
    }

    pub fn file(&self, name: &str) -> &[u8] {
        &self.state.files[name]
    }

    /// From now on `rule` has the last word.
    pub fn rule(&self, rule: impl Fn(&Request, Response) -> Response + Send + Sync + 'static) {
        *self.state.rule.lock().unwrap() = Box::new(rule);
    }

    /// Changes the API's answer.
    pub fn listing(&self, edit: impl Fn(&mut Value) + Send + Sync + 'static) {
        self.rule(move |request, mut response| {
            if request.path.starts_with("/api/") {
                let mut listing = serde_json::from_slice(&response.body).unwrap();
                edit(&mut listing);
                response.body = serde_json::to_vec(&listing).unwrap();
            }
            response
        });
    }

    /// The requests so far, which are forgotten.
    pub fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.state.log.lock().unwrap())
    }

    /// `pgclip pull` from this hub.
    pub fn command(&self, models: &Models, args: &[&str]) -> Command {
        let mut command = pgclip();
        command.args(["pull", "--endpoint", &self.url, "--cache-dir"]).arg(self.cache.path()).args(args);
        command.env("PGCLIP_MODEL_DIR", models.path());
        command
    }

    pub fn pull(&self, models: &Models, args: &[&str]) -> Run {
        run(&mut self.command(models, &[&[REPOSITORY], args].concat()))
    }

    /// A pull that runs until something of `name` is on disk.
    #[track_caller]
    pub fn pull_until_part_of(&self, name: &str, models: &Models) -> Child {
        let mut command = self.command(models, &[REPOSITORY]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let end = Instant::now() + Duration::from_secs(120);
        while self.part(name) == 0 {
            assert!(Instant::now() < end, "nothing of {name} within two minutes");
            assert!(child.try_wait().unwrap().is_none(), "ended early");
            thread::sleep(Duration::from_millis(10));
        }
        child
    }

    /// Bytes of the unfinished file.
    pub fn part(&self, name: &str) -> u64 {
        let entries = std::fs::read_dir(self.download()).into_iter().flatten().flatten();
        let of_name = |e: &std::fs::DirEntry| {
            let file = e.file_name().into_string().unwrap();
            file.starts_with(name) && file.ends_with(".part")
        };
        entries.filter(of_name).map(|e| e.metadata().map_or(0, |m| m.len())).sum()
    }

    /// Where the repository's files lie until they are imported.
    pub fn download(&self) -> std::path::PathBuf {
        self.cache.path().join(REPOSITORY.replace('/', "--"))
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn git_blob(bytes: &[u8]) -> String {
    hex(&Sha1::new_with_prefix(format!("blob {}\0", bytes.len())).chain_update(bytes).finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn is_large(name: &str) -> bool {
    [".safetensors", ".bin", ".onnx", ".h5", ".msgpack"].iter().any(|end| name.ends_with(end))
}

impl State {
    fn serve(&self, host: &'static str, connection: TcpStream) {
        let mut reader = BufReader::new(&connection);
        let Some(request) = read_request(host, &mut reader) else { return };
        self.log.lock().unwrap().push(request.clone());
        let response = if host == "hub" { self.hub(&request) } else { self.cdn(&request) };
        let response = (self.rule.lock().unwrap())(&request, response);
        // The client may have gone.
        let _ = response.write(&mut &connection);
    }

    fn hub(&self, request: &Request) -> Response {
        let path = request.path.split('?').next().unwrap();
        if path.starts_with("/cdn/") {
            return self.cdn(request);
        }
        if let Some(revision) = path.strip_prefix("/api/models/").and_then(|p| p.split("/revision/").nth(1)) {
            assert!(request.path.ends_with("?blobs=true"), "{}", request.path);
            return match revision {
                "main" | "refs%2Fpr%2F1" => Response::new(200, self.listing().to_string()),
                // any commit is taken for the one there is
                commit if commit.len() == COMMIT.len() => Response::new(200, self.listing().to_string()),
                _ => Response::new(404, "{}").header("X-Error-Code", "RevisionNotFound"),
            };
        }
        let file = path.split(&format!("/resolve/{COMMIT}/")).nth(1);
        let Some((name, content)) = file.and_then(|name| self.files.get_key_value(name)) else {
            return Response::new(404, "Entry not found").header("X-Error-Code", "EntryNotFound");
        };
        if is_large(name) {
            let sha256 = sha256(content);
            return Response::new(302, "Found. Redirecting")
                .header("Location", format!("{}/{sha256}/{name}?signature=secret", self.cdn))
                .header("X-Repo-Commit", COMMIT)
                .header("X-Linked-Etag", format!("\"{sha256}\""))
                .header("X-Linked-Size", content.len().to_string());
        }
        Response::new(200, content.clone())
            .header("X-Repo-Commit", COMMIT)
            .header("ETag", format!("\"{}\"", git_blob(content)))
    }

    fn listing(&self) -> Value {
        let sibling = |(name, content): (&String, &Vec<u8>)| {
            let size = content.len();
            match is_large(name) {
                // the blob is Git LFS's pointer
                true => json!({"rfilename": name, "size": size, "blobId": "f".repeat(40),
                               "lfs": {"sha256": sha256(content), "size": size, "pointerSize": 134}}),
                false => json!({"rfilename": name, "size": size, "blobId": git_blob(content)}),
            }
        };
        json!({"id": REPOSITORY, "sha": COMMIT, "gated": false, "siblings": self.files.iter().map(sibling).collect::<Vec<_>>()})
    }

    fn cdn(&self, request: &Request) -> Response {
        let path = request.path.split('?').next().unwrap();
        let (_, content) = self.files.iter().find(|(name, _)| path.ends_with(&format!("/{name}"))).unwrap();
        match request.header("range") {
            None => Response::new(200, content.clone()),
            Some(range) => {
                let from: usize = range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap();
                if from >= content.len() {
                    return Response::new(416, "").header("Content-Range", format!("bytes */{}", content.len()));
                }
                let range = format!("bytes {from}-{}/{}", content.len() - 1, content.len());
                Response::new(206, &content[from..]).header("Content-Range", range)
            }
        }
    }
}

pub fn read_request(host: &'static str, reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split_whitespace().nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.take(64 << 10).read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    Some(Request { host, path, headers })
}

/// What is in a directory, sorted.
pub fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

impl Models {
    /// Nothing is installed, nothing half-installed is there.
    #[track_caller]
    pub fn is_empty(&self) {
        assert_eq!(self.run(["list"]).ok(), format!("no model is installed in {}\n", self.path().display()));
        assert_eq!(self.entries(), [""; 0]);
    }
}
