use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, pki_types::PrivateKeyDer},
};

use super::*;

/// A private authority and a server whose certificate it signed, for `localhost` and `::1`.
struct Authority {
    root: String,
    server: TlsAcceptor,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer =
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a root");
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(["localhost".to_owned(), "::1".to_owned()]).expect("names");
        let leaf = params.signed_by(&key, &issuer).expect("a certificate");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config =
            config.with_safe_default_protocol_versions().expect("ring has them").with_no_client_auth();
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let config = config.with_single_cert(vec![leaf.der().clone()], key).expect("they belong together");
        Self { root: issuer.pem(), server: Arc::new(config).into() }
    }

    async fn connect(
        &self,
        connector: &TlsConnector,
        host: &str,
    ) -> Result<TlsStream<DuplexStream>, TlsError> {
        let (near, far) = duplex(1 << 10);
        let serve = async {
            let mut server = self.server.accept(far).await?;
            server.write_all(b"hello").await?;
            server.flush().await?;
            // Keeps the link until the client has gone.
            server.read(&mut [0]).await
        };
        let connect = async {
            let mut client = connector.connect(host, near).await?;
            let mut heard = [0; 5];
            client.read_exact(&mut heard).await.expect("the server speaks");
            assert_eq!(&heard, b"hello");
            client.shutdown().await.expect("ended");
            Ok(client)
        };
        let (client, _) = tokio::join!(connect, serve);
        client
    }
}

#[tokio::test]
async fn a_private_authority_is_trusted_when_given() {
    let authority = Authority::new();
    let only = TlsConnector::with_only_roots(authority.root.as_bytes()).expect("a root");
    authority.connect(&only, "localhost").await.expect("trusted");
    authority.connect(&only, "::1").await.expect("trusted");
    let extra = TlsConnector::with_extra_roots(authority.root.as_bytes()).expect("a root");
    authority.connect(&extra, "localhost").await.expect("trusted");
}

#[tokio::test]
async fn nobody_else_is() {
    let authority = Authority::new();
    let stranger = Authority::new();
    let only = TlsConnector::with_only_roots(stranger.root.as_bytes()).expect("a root");
    let refused = authority.connect(&only, "localhost").await.map(drop);
    assert!(matches!(refused, Err(TlsError::Certificate(_))), "{refused:?}");
    let own = TlsConnector::with_only_roots(authority.root.as_bytes()).expect("a root");
    let refused = authority.connect(&own, "example.com").await.map(drop);
    assert!(matches!(refused, Err(TlsError::Certificate(_))), "{refused:?}");
}

#[tokio::test]
async fn the_platform_does_not_trust_a_private_authority() {
    let authority = Authority::new();
    // A machine without any trusted certificates has no verifier, and trusts nobody either.
    match TlsConnector::platform() {
        Ok(platform) => {
            let refused = authority.connect(&platform, "localhost").await.map(drop);
            assert!(matches!(refused, Err(TlsError::Certificate(_))), "{refused:?}");
        }
        Err(error) => assert!(matches!(error, TlsError::Platform(_)), "{error:?}"),
    }
}

#[tokio::test]
async fn each_mistake_has_its_own_error() {
    let authority = Authority::new();
    let own = TlsConnector::with_only_roots(authority.root.as_bytes()).expect("a root");
    let error = TlsConnector::with_only_roots(b"").expect_err("nothing");
    assert!(matches!(error, TlsError::RootsEmpty), "{error:?}");
    let cut = authority.root.replace("-----END", "-----");
    let error = TlsConnector::with_extra_roots(cut.as_bytes()).expect_err("not PEM");
    assert!(matches!(error, TlsError::RootsFormat(_)), "{error:?}");
    let error =
        TlsConnector::with_only_roots(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert!(matches!(error, Err(TlsError::Root(_))), "{error:?}");

    let (near, _far) = duplex(1);
    let error = own.connect("not a name", near).await.map(drop).expect_err("no name");
    assert!(matches!(error, TlsError::HostName(_)), "{error:?}");
    let (near, far) = duplex(1 << 10);
    drop(far);
    let error = own.connect("localhost", near).await.map(drop).expect_err("nobody there");
    assert!(matches!(error, TlsError::Io(_)), "{error:?}");
    let (near, mut far) = duplex(1 << 10);
    far.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("the link has room");
    let error = own.connect("localhost", near).await.map(drop).expect_err("not TLS");
    assert!(matches!(error, TlsError::ServerSpeaksPlainText), "{error:?}");
}
