//! How a connection to the server is kept from being read and changed on its way.
//!
//! Two levels and nothing between them: a server that is checked in full, its authority and its
//! name, or one that is not checked at all. A mode that takes plain text as well would gain
//! nothing by checking.

use crate::batch::StoreError;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature as verify_tls13,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Why a server cannot be connected to as configured; nothing of it passes by itself.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error(
        "is no connection string of PostgreSQL: {0} (of `sslmode` there are disable, prefer and \
         require, which checks the server as libpq's verify-full does)"
    )]
    Text(String),
    #[error("says sslmode=disable, and a CA file is named: one of them has to go")]
    Contradiction,
    #[error("with the CA file `{}` cannot be used: {why}", path.display())]
    Authority { path: PathBuf, why: String },
    #[error(
        "says sslmode=require, and this system trusts no authority: install its certificates, or \
         name a CA file"
    )]
    NoAuthority,
}

/// What is known of a server before it is connected to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reach {
    /// Encrypted, and the server's certificate checked: its authority and its name.
    pub verified: bool,
    /// The way to it leaves this machine.
    pub leaves: bool,
}

/// Reads a connection string and the CA file as a connection would, and connects to nothing.
///
/// # Errors
/// What would keep [`TimescaleStore::open`](super::TimescaleStore::open) from connecting.
pub fn timescale_reach(server: &str, ca_file: Option<&Path>) -> Result<Reach, ServerError> {
    let (config, _) = read(server, ca_file)?;
    Ok(Reach {
        verified: config.get_ssl_mode() == SslMode::Require,
        leaves: config.get_hosts().iter().any(leaves),
    })
}

/// Whether a connection string has a password of its own; None where it cannot be read.
pub fn timescale_password(server: &str) -> Option<bool> {
    let config: Config = server.parse().ok()?;
    Some(config.get_password().is_some())
}

fn leaves(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => match name.parse::<IpAddr>() {
            Ok(address) => !address.is_loopback(),
            Err(_) => name != "localhost",
        },
        Host::Unix(_) => false,
    }
}

/// The connection string, and what speaks TLS for it. A CA file stands for `sslmode=require`.
pub(super) fn read(
    server: &str,
    ca_file: Option<&Path>,
) -> Result<(Config, MakeRustlsConnect), ServerError> {
    let mut config: Config = server.parse().map_err(|e: tokio_postgres::Error| {
        let why = std::error::Error::source(&e).map_or_else(|| e.to_string(), |s| s.to_string());
        ServerError::Text(why)
    })?;
    let roots = match (config.get_ssl_mode(), ca_file) {
        (SslMode::Disable, Some(_)) => return Err(ServerError::Contradiction),
        (_, Some(path)) => {
            config.ssl_mode(SslMode::Require);
            Some(of_file(path)?)
        }
        (SslMode::Require, None) => Some(of_system()?),
        (_, None) => None,
    };
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match roots {
        Some(roots) => {
            let made = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider));
            made.build().map_err(|_| ServerError::NoAuthority)?
        }
        None => Arc::new(Anybody(Arc::clone(&provider))),
    };
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has ciphers for the versions that it was built with")
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok((config, MakeRustlsConnect::new(tls)))
}

fn of_file(path: &Path) -> Result<Arc<RootCertStore>, ServerError> {
    let refused = |why: String| ServerError::Authority {
        path: path.to_owned(),
        why,
    };
    let mut roots = RootCertStore::empty();
    let found = CertificateDer::pem_file_iter(path).map_err(|e| refused(e.to_string()))?;
    for certificate in found {
        let certificate = certificate.map_err(|e| refused(e.to_string()))?;
        roots.add(certificate).map_err(|e| refused(e.to_string()))?;
    }
    match roots.is_empty() {
        true => Err(refused("it holds no certificate in PEM".to_owned())),
        false => Ok(Arc::new(roots)),
    }
}

fn of_system() -> Result<Arc<RootCertStore>, ServerError> {
    let mut roots = RootCertStore::empty();
    // Single ones that cannot be read are the system's affair.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    match roots.is_empty() {
        true => Err(ServerError::NoAuthority),
        false => Ok(Arc::new(roots)),
    }
}

/// Takes whoever answers: encrypted against those who only listen.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _between: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls13(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// What a connection failed of that was not to be had safely; None where it failed of another thing.
pub(super) fn refusal(e: &tokio_postgres::Error) -> Option<StoreError> {
    // The library tells kinds of errors apart by their texts only.
    if !e.to_string().starts_with("error performing TLS handshake") {
        return None;
    }
    let cause = std::error::Error::source(e)?;
    let Some(io) = cause.downcast_ref::<std::io::Error>() else {
        return Some(StoreError::Insecure(cause.to_string()));
    };
    let inner = io.get_ref()?;
    match inner.downcast_ref::<rustls::Error>() {
        Some(rustls::Error::InvalidCertificate(why)) => Some(StoreError::Insecure(format!(
            "the server's certificate is refused ({why}): its authority must be in the CA \
                 file, or be one that the system trusts where none is named, and it must name the \
                 host that is connected to"
        ))),
        Some(other) => Some(StoreError::Insecure(other.to_string())),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(server: &str, ca_file: Option<&Path>) -> Result<Reach, String> {
        timescale_reach(server, ca_file).map_err(|e| e.to_string())
    }

    #[test]
    fn a_mode_says_what_one_gets() {
        let is = |verified, leaves| Ok(Reach { verified, leaves });
        assert_eq!(reach("host=db.example", None), is(false, true));
        assert_eq!(
            reach("host=db.example sslmode=disable", None),
            is(false, true)
        );
        assert_eq!(reach("host=/run/postgresql", None), is(false, false));
        assert_eq!(reach("postgresql://w@[::1]/w", None), is(false, false));
        assert_eq!(reach("host=localhost,db.example", None), is(false, true));
        let unknown = reach("host=db.example sslmode=verify-full", None);
        let said = unknown.unwrap_err();
        assert!(
            said.contains("`sslmode`") && said.contains("require"),
            "{said}"
        );
    }

    #[test]
    fn a_ca_file_is_read_before_anything_is_connected_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        let said = reach("host=db", Some(&path)).unwrap_err();
        assert!(said.contains("ca.pem"), "{said}");
        std::fs::write(&path, "no certificate\n").unwrap();
        let said = reach("host=db", Some(&path)).unwrap_err();
        assert!(said.contains("no certificate in PEM"), "{said}");
        let broken = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        std::fs::write(&path, broken).unwrap();
        assert!(reach("host=db", Some(&path)).is_err());
        let both = reach("host=db sslmode=disable", Some(&path)).unwrap_err();
        assert!(both.contains("sslmode=disable"), "{both}");
    }
}
