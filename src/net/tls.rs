//! TLS: as a client with the system's certificates, and as a server with a certificate of its own.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::{ClientConfig, ServerConfig};
use rustls_platform_verifier::ConfigVerifierExt;
use webpki::{EndEntityCert, KeyUsage};

use crate::error::{Error, Result};

/// Returns a TLS client configuration that trusts the system's certificates.
///
/// # Errors
/// Returns an error if the system's certificates cannot be read.
pub fn client() -> Result<Arc<ClientConfig>> {
    // Fails if a provider is installed already, as on a second call in the process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    ClientConfig::with_platform_verifier().map(Arc::new).map_err(|cause| {
        Error::unavailable("TLS cannot be set up").because(cause).remedy("install the package ca-certificates")
    })
}

/// Why a certificate or its key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// The certificate's file: why, and the remedy.
    Certificate(String, &'static str),
    /// The key's file: why, and the remedy.
    Key(String, &'static str),
}

/// Returns a TLS server configuration for HTTP/1.1 from the text of two PEM files: the certificate, followed by those of
/// its issuers, and its private key.
///
/// # Errors
/// Returns why the certificate or the key cannot be used.
pub fn server(certificate: &str, key: &str) -> Result<Arc<ServerConfig>, Unusable> {
    let chain = chain(certificate)?;
    let key = private_key(key)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let made = builder.and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
    let mut server = made.map_err(|cause| match cause {
        rustls::Error::InconsistentKeys(_) => {
            Unusable::Key("does not belong to the certificate".into(), "name the key of this certificate")
        }
        cause => Unusable::Key(cause.to_string(), "use an RSA, ECDSA or Ed25519 key"),
    })?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(server))
}

/// Reads the certificates, and checks that the first is valid now.
fn chain(text: &str) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let format = "name a PEM file, which begins with -----BEGIN CERTIFICATE-----";
    let unreadable = |cause: String| Unusable::Certificate(cause, format);
    let chain: Vec<CertificateDer> = CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|cause| unreadable(cause.to_string()))?;
    let first = chain.first().ok_or_else(|| unreadable("holds no certificate".into()))?;
    let parsed = EndEntityCert::try_from(first).map_err(|cause| unreadable(format!("no certificate: {cause:?}")))?;
    // Without a root every certificate is refused, but first for its own faults.
    let fault = parsed.verify_for_usage(&[], &[], &[], UnixTime::now(), KeyUsage::server_auth(), None, None).err();
    let renew = "renew it, or set this machine's clock";
    match fault {
        Some(webpki::Error::CertExpired { .. }) => Err(Unusable::Certificate("has expired".into(), renew)),
        Some(webpki::Error::CertNotValidYet { .. }) => Err(Unusable::Certificate("is not valid yet".into(), renew)),
        _ => Ok(chain),
    }
}

fn private_key(text: &str) -> Result<PrivateKeyDer<'static>, Unusable> {
    if text.contains("ENCRYPTED") {
        return Err(Unusable::Key(
            "is encrypted, and there is nobody to ask for its password".into(),
            "decrypt it: openssl pkey -in FILE -out NEW",
        ));
    }
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| {
        Unusable::Key(
            "holds no private key".into(),
            "name a PEM file with a line -----BEGIN PRIVATE KEY-----, or the same with RSA or EC",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(until: i32) -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn a_certificate_is_refused_for_what_is_wrong_with_it() {
        let ((certificate, key), (other, _), (expired, old)) = (signed(4096), signed(4096), signed(2001));
        assert!(server(&certificate, &key).is_ok());
        // The issuer's certificate may follow.
        assert!(server(&format!("{certificate}{other}"), &key).is_ok());
        let why = |certificate: &str, key: &str| match server(certificate, key).unwrap_err() {
            Unusable::Certificate(why, _) => format!("certificate {why}"),
            Unusable::Key(why, _) => format!("key {why}"),
        };
        assert_eq!(why(&other, &key), "key does not belong to the certificate");
        assert_eq!(why(&expired, &old), "certificate has expired");
        assert_eq!(why(&key, &key), "certificate holds no certificate");
        assert_eq!(why("", &key), "certificate holds no certificate");
        assert_eq!(why(&certificate, &certificate), "key holds no private key");
        let encrypted = key.replace("PRIVATE", "ENCRYPTED PRIVATE");
        assert!(why(&certificate, &encrypted).starts_with("key is encrypted"));
        let garbled = certificate.replace('M', "A");
        assert!(why(&garbled, &key).starts_with("certificate "));
    }
}
