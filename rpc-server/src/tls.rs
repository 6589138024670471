//! TLS for accepted connections: rustls with ring as its explicit provider, whatever the process's default is.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{
    rustls::{
        self, ServerConfig,
        crypto::ring,
        pki_types::{
            CertificateDer, PrivateKeyDer,
            pem::{self, PemObject},
        },
    },
    server::TlsStream,
};

/// Why a certificate and its key cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The file could not be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The path of the file.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        error: io::Error,
    },
    /// The certificate chain is not PEM.
    #[error("the certificate chain is not valid PEM")]
    ChainFormat(#[source] pem::Error),
    /// The PEM holds no certificate.
    #[error("the certificate chain holds no `BEGIN CERTIFICATE` section")]
    ChainEmpty,
    /// The PEM holds no private key.
    #[error("the key holds no valid `BEGIN … PRIVATE KEY` section")]
    Key(#[source] pem::Error),
    /// Certificate and key can be read but not used, for example because the key belongs to another certificate.
    #[error("the certificate and its key cannot be used")]
    Unusable(#[source] rustls::Error),
}

/// Encrypts accepted connections with one certificate. Cheap to clone.
#[derive(Clone)]
pub struct TlsAcceptor(tokio_rustls::TlsAcceptor);

impl TlsAcceptor {
    /// Serves the certificate chain (leaf first) with its private key, both in PEM.
    ///
    /// # Errors
    /// If the chain or the key is invalid, or they do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
        let chain = chain.map_err(TlsError::ChainFormat)?;
        if chain.is_empty() {
            return Err(TlsError::ChainEmpty);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(TlsError::Key)?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Unusable)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(TlsError::Unusable)?;
        // ALPN tells a client that would use HTTP/2 before it tries.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config).into()))
    }

    /// As [`from_pem`](Self::from_pem), from two files. Reads them once; blocks.
    ///
    /// # Errors
    /// As [`from_pem`](Self::from_pem), and if a file cannot be read.
    pub fn from_files(chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, TlsError> {
        Self::from_pem(&read(chain.as_ref())?, &read(key.as_ref())?)
    }

    /// Runs the TLS handshake. It has no timeout of its own: the caller bounds it.
    ///
    /// # Cancel safety
    /// Dropping the future drops `io`.
    ///
    /// # Errors
    /// Errors of `io`, or a failed negotiation.
    pub async fn accept<IO: AsyncRead + AsyncWrite + Unpin>(&self, io: IO) -> io::Result<TlsStream<IO>> {
        self.0.accept(io).await
    }
}

impl std::fmt::Debug for TlsAcceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsAcceptor").finish_non_exhaustive()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|error| TlsError::Read { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests;
