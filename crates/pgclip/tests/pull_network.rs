//! `pull` through proxies and over TLS.

mod common;

use std::io::{BufReader, Write, copy};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use common::hub::{Hub, REPOSITORY, read_request};
use common::*;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A proxy for CONNECT; names that end in `.test` are the given address, whatever their port.
struct Proxy {
    address: String,
    log: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn new(target: &str, tls: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (target, log) = (target.to_owned(), Arc::new(Mutex::new(Vec::new())));
        let all = log.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (target, log) = (target.clone(), all.clone());
                thread::spawn(move || tunnel(client, &target, tls, &log));
            }
        });
        Self { address, log }
    }

    fn tunnels(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().unwrap())
    }
}

fn tunnel(client: TcpStream, target: &str, tls: bool, log: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(client.try_clone().unwrap());
    let Some(request) = read_request("proxy", &mut reader) else { return };
    let credentials = request.header("proxy-authorization").unwrap_or("-");
    log.lock().unwrap().push(format!("{} {credentials}", request.path));
    assert_eq!(request.header("authorization"), None, "the token is not for proxies");
    let (host, _) = request.path.rsplit_once(':').unwrap();
    let target = if host.ends_with(".test") { target } else { &request.path };
    let (mut client, server) = (client, TcpStream::connect(target).unwrap());
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
    if tls && host.ends_with(".test") {
        return terminate(client, server);
    }
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || {
        let _ = copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let _ = copy(&mut &server, &mut client);
    let _ = client.shutdown(Shutdown::Both);
}

fn pem(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/common").join(name)
}

/// Speaks TLS with the client, as `hub.test`, and plainly with the server. One request a connection.
fn terminate(client: TcpStream, mut server: TcpStream) {
    let certificate = CertificateDer::from_pem_file(pem("hub-certificate.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(pem("hub-key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let mut tls = StreamOwned::new(ServerConnection::new(Arc::new(config)).unwrap(), client);
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        // A client that does not trust the certificate leaves here.
        if std::io::Read::read_exact(&mut tls, &mut byte).is_err() {
            return;
        }
        request.push(byte[0]);
    }
    server.write_all(&request).unwrap();
    let _ = copy(&mut server, &mut tls);
    tls.conn.send_close_notify();
    let _ = tls.flush();
}

fn address(hub: &Hub) -> String {
    hub.url.trim_start_matches("http://").to_owned()
}

#[test]
fn a_proxy_for_http() {
    let (hub, models) = (Hub::with("tiny-clip"), Models::new());
    let proxy = Proxy::new(&address(&hub), false);
    let pull = |variables: &[(&str, &str)], name: &str| {
        let mut command = pgclip();
        command.args(["pull", REPOSITORY, "--name", name, "--endpoint", "http://hub.test/", "--cache-dir"]);
        command.arg(hub.cache.path()).env("PGCLIP_MODEL_DIR", models.path());
        run(command.envs(variables.iter().copied()))
    };
    for (i, variable) in ["http_proxy", "HTTP_PROXY", "ALL_PROXY"].into_iter().enumerate() {
        let pulled = pull(&[(variable, &format!("http://me:p%40ss@{}", proxy.address))], &format!("m{i}"));
        assert_eq!(pulled.code, 0, "{variable}: {}", pulled.stderr);
        let tunnels = proxy.tunnels();
        // "me:p@ss"
        assert!(tunnels.iter().any(|t| t == "hub.test:80 Basic bWU6cEBzcw=="), "{tunnels:?}");
        assert!(tunnels.iter().any(|t| t.starts_with("127.0.0.1:")), "large files go through it too: {tunnels:?}");
    }
    let error = pull(&[("HTTP_PROXY", "http://secret word")], "none").fails(1);
    assert!(error.contains("invalid proxy in HTTP_PROXY") && !error.contains("secret"), "{error}");

    // Not for hosts that are excepted, and a proxy for https not for http.
    let url = format!("http://{}", proxy.address);
    for (name, variables) in [
        ("excepted", &[("HTTP_PROXY", url.as_str()), ("NO_PROXY", "example, 127.0.0.1")][..]),
        ("https-only", &[("HTTPS_PROXY", url.as_str())]),
    ] {
        let mut command = hub.command(&models, &[REPOSITORY, "--name", name]);
        let pulled = run(command.envs(variables.iter().copied()));
        assert_eq!(pulled.code, 0, "{}", pulled.stderr);
    }
    assert_eq!(proxy.tunnels(), [""; 0]);
}

#[test]
fn https_with_a_certificate_of_one_s_own() {
    let (hub, models) = (Hub::with("tiny-clip"), Models::new());
    let proxy = Proxy::new(&address(&hub), true);
    let pull = |certificate: Option<PathBuf>| {
        let mut command = pgclip();
        command.args(["pull", REPOSITORY, "--endpoint", "https://hub.test", "--cache-dir"]).arg(hub.cache.path());
        command.env("PGCLIP_MODEL_DIR", models.path()).env("HTTPS_PROXY", format!("http://{}", proxy.address));
        run(command.env("HF_TOKEN", "good").envs(certificate.map(|path| ("SSL_CERT_FILE", path))))
    };
    let error = pull(None).fails(1);
    assert!(error.contains("could not read from https://hub.test/") && error.contains("SSL_CERT_FILE"), "{error}");
    models.is_empty();
    assert_eq!(hub.requests().len(), 0, "no request, and no token, goes to a stranger");

    // Large files would come from a plain address: refused, as the hub was reached with encryption.
    let error = pull(Some(pem("hub-certificate.pem"))).fails(1);
    assert!(error.contains("which is not encrypted"), "{error}");
    let requests = hub.requests();
    assert!(requests.len() > 5 && requests.iter().all(|r| r.header("authorization") == Some("Bearer good")));
    models.is_empty();

    hub.rule(|_, mut response| {
        for (name, value) in &mut response.headers {
            if *name == "Location" {
                *value = format!("https://hub.test/cdn/{}", value.splitn(4, '/').nth(3).unwrap());
            }
        }
        response
    });
    let pulled = pull(Some(pem("hub-certificate.pem")));
    assert_eq!(pulled.code, 0, "{}", pulled.stderr);
    assert!(models.run(["verify", "tiny-clip"]).ok().contains("intact"));
}
