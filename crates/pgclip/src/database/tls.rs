//! TLS as `sslmode` says. PostgreSQL's documentation §34.19.
//!
//! | sslmode | encrypted | certificate's issuer | host name |
//! |---|---|---|---|
//! | disable | no | | |
//! | allow, prefer | if the server can | not checked | not checked |
//! | require | yes | checked where there is a file of root certificates | not checked |
//! | verify-ca | yes | checked | not checked |
//! | verify-full | yes | checked | checked |

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clip_core::{Error, ErrorKind, Result};
use postgres::config::SslMode;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::parameters::{Parameters, home};

/// What of a server's certificate is checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Check {
    Nothing,
    Issuer,
    IssuerAndName,
}

pub fn connector(parameters: &Parameters) -> Result<(MakeRustlsConnect, SslMode)> {
    let invalid = |what: String| Error::new(ErrorKind::InvalidArgument, what);
    let own = |name: &str| home().map(|home| home.join(".postgresql").join(name)).filter(|path| path.is_file());
    let roots = parameters.get("sslrootcert").map(PathBuf::from).or_else(|| own("root.crt"));
    let is_system = roots.as_deref() == Some(Path::new("system"));
    let named = parameters.get("sslmode").unwrap_or(if is_system { "verify-full" } else { "prefer" });
    let (mode, check) = match named {
        "disable" => (SslMode::Disable, Check::Nothing),
        "allow" | "prefer" => (SslMode::Prefer, Check::Nothing),
        "require" if roots.is_none() => (SslMode::Require, Check::Nothing),
        "require" | "verify-ca" => (SslMode::Require, Check::Issuer),
        "verify-full" => (SslMode::Require, Check::IssuerAndName),
        other => return Err(invalid(format!("invalid sslmode value: \"{other}\""))),
    };
    if is_system && check != Check::IssuerAndName {
        return Err(invalid(format!(
            "weak sslmode \"{named}\" may not be used with sslrootcert=system (use \"verify-full\")"
        )));
    }
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::internal(e.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier::new(roots.as_deref(), check, provider)?));
    let certificate = parameters.get("sslcert").map(PathBuf::from).or_else(|| own("postgresql.crt"));
    let key = parameters.get("sslkey").map(PathBuf::from).or_else(|| own("postgresql.key"));
    let config = match certificate.zip(key).filter(|_| mode != SslMode::Disable) {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let wrong = |path: &Path, e: String| invalid(format!("could not use \"{}\": {e}", path.display()));
            let chain = certificates(&certificate).map_err(|e| wrong(&certificate, e))?;
            let key_read = PrivateKeyDer::from_pem_file(&key).map_err(|e| wrong(&key, e.to_string()))?;
            builder.with_client_auth_cert(chain, key_read).map_err(|e| wrong(&key, e.to_string()))?
        }
    };
    Ok((MakeRustlsConnect::new(config), mode))
}

fn certificates(path: &Path) -> std::result::Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>);
    found
        .map_err(|e| e.to_string())
        .and_then(|found| if found.is_empty() { Err("no certificate in it".into()) } else { Ok(found) })
}

#[derive(Debug)]
struct Verifier {
    check: Check,
    /// With the root certificates; `None` where nothing is checked.
    issuers: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(roots: Option<&Path>, check: Check, provider: Arc<CryptoProvider>) -> Result<Self> {
        if check == Check::Nothing {
            return Ok(Self { check, issuers: None, provider });
        }
        let missing = |what: String| {
            Error::new(ErrorKind::MissingFile, what).with_hint(
                "Name the file of root certificates by sslrootcert, or those of the system by sslrootcert=system.",
            )
        };
        let path =
            roots.ok_or_else(|| missing("root certificate file \"~/.postgresql/root.crt\" does not exist".into()))?;
        let found = if path == Path::new("system") {
            rustls_native_certs::load_native_certs().certs
        } else {
            certificates(path)
                .map_err(|e| missing(format!("could not read root certificate file \"{}\": {e}", path.display())))?
        };
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(found);
        let issuers = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone())
            .build()
            .map_err(|e| missing(format!("root certificate file \"{}\": {e}", path.display())))?;
        Ok(Self { check, issuers: Some(issuers), provider })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let Some(issuers) = &self.issuers else { return Ok(ServerCertVerified::assertion()) };
        match issuers.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is looked at after the issuer.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.check == Check::Issuer => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
