//! TLS connections to servers: rustls with ring. The platform's verifier checks certificates by default.

use std::{io, sync::Arc};

use rustls_platform_verifier::Verifier;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{
    client::TlsStream,
    rustls::{
        self, ClientConfig, RootCertStore,
        client::{WebPkiServerVerifier, danger::ServerCertVerifier},
        crypto::{CryptoProvider, ring},
        pki_types::{
            CertificateDer, ServerName,
            pem::{self, PemObject},
        },
    },
};

/// Why the TLS connection to a server failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The platform's certificates could not be loaded.
    #[error("the platform's trusted certificates are not available")]
    Platform(#[source] rustls::Error),
    /// The given root certificates are not PEM.
    #[error("the root certificates are not valid PEM")]
    RootsFormat(#[source] pem::Error),
    /// The PEM holds no certificate.
    #[error("the root certificates hold no `BEGIN CERTIFICATE` section")]
    RootsEmpty,
    /// A given certificate cannot be used as a root certificate.
    #[error("a root certificate cannot be used")]
    Root(#[source] rustls::Error),
    /// The host is neither a DNS name nor an IP address, so no certificate can name it.
    #[error("`{0}` is not a name that a certificate can be for")]
    HostName(String),
    /// The server's certificate is not trusted, or not for this host.
    #[error("the server's certificate was not accepted")]
    Certificate(#[source] rustls::Error),
    /// The server answered, but not in TLS.
    #[error("the server speaks plain text; write `ws://`")]
    ServerSpeaksPlainText,
    /// The negotiation failed, or the server broke the TLS protocol.
    #[error("the TLS handshake failed")]
    Handshake(#[source] rustls::Error),
    /// The link failed or ended.
    #[error("the link failed during the TLS handshake")]
    Io(#[source] io::Error),
}

/// Encrypts connections to servers. Cheap to clone.
#[derive(Clone)]
pub struct TlsConnector(tokio_rustls::TlsConnector);

impl TlsConnector {
    /// Trusts the platform's certificates.
    ///
    /// # Errors
    /// If the platform's certificates cannot be loaded.
    pub fn platform() -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let verifier = Verifier::new(Arc::clone(&provider)).map_err(TlsError::Platform)?;
        Self::with_verifier(provider, Arc::new(verifier))
    }

    /// Trusts the platform's certificates and the ones in `roots` (PEM): for a private authority.
    ///
    /// # Errors
    /// If `roots` is invalid or the platform's certificates cannot be loaded.
    #[cfg(not(target_os = "android"))]
    pub fn with_extra_roots(roots: &[u8]) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let verifier = Verifier::new_with_extra_roots(parse_roots(roots)?, Arc::clone(&provider));
        Self::with_verifier(provider, Arc::new(verifier.map_err(TlsError::Root)?))
    }

    /// Trusts only the certificates in `roots` (PEM): for tests and closed systems.
    ///
    /// # Errors
    /// If `roots` is invalid.
    pub fn with_only_roots(roots: &[u8]) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let mut store = RootCertStore::empty();
        for root in parse_roots(roots)? {
            store.add(root).map_err(TlsError::Root)?;
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(&provider));
        let verifier =
            verifier.build().expect("there are roots, and no revocation lists that could be wrong");
        Self::with_verifier(provider, verifier)
    }

    fn with_verifier(
        provider: Arc<CryptoProvider>,
        verifier: Arc<dyn ServerCertVerifier>,
    ) -> Result<Self, TlsError> {
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Handshake)?
            // rustls calls custom verifiers dangerous. These are its own and the platform's.
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        // The WebSocket handshake used here is an HTTP/1.1 upgrade.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config).into()))
    }

    /// Runs the TLS handshake. The server's certificate must name `host`, a DNS name or IP address (IPv6 without brackets).
    /// The handshake has no timeout of its own: the caller bounds it.
    ///
    /// # Cancel safety
    /// Dropping the future drops `io`.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub async fn connect<IO>(&self, host: &str, io: IO) -> Result<TlsStream<IO>, TlsError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| TlsError::HostName(host.to_owned()))?;
        self.0.connect(name, io).await.map_err(TlsError::from_handshake)
    }
}

impl std::fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsConnector").finish_non_exhaustive()
    }
}

impl TlsError {
    /// Converts an error of tokio-rustls, which wraps rustls's errors in `io::Error`.
    fn from_handshake(error: io::Error) -> Self {
        match error.downcast::<rustls::Error>() {
            Ok(error @ rustls::Error::InvalidCertificate(_)) => Self::Certificate(error),
            // The server's first byte begins no TLS record.
            Ok(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType)) => {
                Self::ServerSpeaksPlainText
            }
            Ok(error) => Self::Handshake(error),
            Err(error) => Self::Io(error),
        }
    }
}

fn parse_roots(roots: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let roots: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(roots).collect();
    let roots = roots.map_err(TlsError::RootsFormat)?;
    if roots.is_empty() { Err(TlsError::RootsEmpty) } else { Ok(roots) }
}

#[cfg(test)]
mod tests;
