use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, pki_types::ServerName},
};

use super::*;

/// A self-signed certificate for `localhost`, and its key.
fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn client(root: &str, protocols: &[&str]) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(root.as_bytes()).expect("a certificate");
    roots.add(root).expect("a root");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().expect("ring has them");
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config).into()
}

#[tokio::test]
async fn a_client_that_trusts_the_certificate_gets_through() {
    let (chain, key) = certificate();
    let acceptor = TlsAcceptor::from_pem(chain.as_bytes(), key.as_bytes()).expect("they belong together");
    let localhost = ServerName::try_from("localhost").expect("a name");
    for protocols in [&[][..], &["http/1.1"], &["h2", "http/1.1"]] {
        let (near, far) = duplex(1 << 10);
        let connector = client(&chain, protocols);
        let (client, server) = tokio::join!(connector.connect(localhost.clone(), near), acceptor.accept(far));
        let (mut client, mut server) = (client.expect("connected"), server.expect("accepted"));
        client.write_all(b"hello").await.expect("written");
        client.flush().await.expect("flushed");
        let mut heard = [0; 5];
        server.read_exact(&mut heard).await.expect("read");
        assert_eq!(&heard, b"hello");
    }
    let (near, far) = duplex(1 << 10);
    let connector = client(&chain, &["h2"]);
    let (client, server) = tokio::join!(connector.connect(localhost, near), acceptor.accept(far));
    assert!(client.is_err() && server.is_err(), "HTTP/2 has no WebSocket here");
}

#[test]
fn each_mistake_has_its_own_error() {
    let (chain, key) = certificate();
    let (_, other_key) = certificate();
    let load = |chain: &str, key: &str| {
        let loaded = TlsAcceptor::from_pem(chain.as_bytes(), key.as_bytes());
        loaded.map(drop).expect_err("a mistake")
    };
    assert!(matches!(load("", &key), TlsError::ChainEmpty));
    assert!(matches!(load(&key, &key), TlsError::ChainEmpty));
    assert!(matches!(load(&chain.replace("-----END", "-----"), &key), TlsError::ChainFormat(_)));
    assert!(matches!(load(&chain, ""), TlsError::Key(_)));
    assert!(matches!(load(&chain, &chain), TlsError::Key(_)));
    assert!(matches!(load(&chain, &other_key), TlsError::Unusable(_)));
    let missing = TlsAcceptor::from_files("/nowhere/chain.pem", "/nowhere/key.pem").expect_err("no file");
    assert_eq!(missing.to_string(), "cannot read `/nowhere/chain.pem`");
}

#[test]
fn certificate_and_key_can_be_files() {
    let (chain, key) = certificate();
    let folder = std::env::temp_dir().join(format!("rpc-server-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let (chain_path, key_path) = (folder.join("chain.pem"), folder.join("key.pem"));
    std::fs::write(&chain_path, chain).expect("written");
    std::fs::write(&key_path, key).expect("written");
    let loaded = TlsAcceptor::from_files(&chain_path, &key_path);
    std::fs::remove_dir_all(&folder).expect("removed");
    loaded.expect("they belong together");
}
