use super::*;

#[track_caller]
fn check(text: &str, host: &str, port: u16, host_header: &str, path_and_query: &str) {
    let address: Address = text.parse().expect("a good address");
    assert_eq!((address.host(), address.port()), (host, port));
    assert_eq!((address.host_header().as_str(), address.path_and_query()), (host_header, path_and_query));
}

#[track_caller]
fn check_refused(text: &str, expected: AddressError) {
    assert_eq!(text.parse::<Address>(), Err(expected));
}

#[test]
fn good_addresses_are_taken_apart() {
    check("ws://example.com", "example.com", 80, "example.com", "/");
    check("wss://Example.COM", "example.com", 443, "example.com", "/");
    check("WS://localhost:8080/rpc", "localhost", 8080, "localhost:8080", "/rpc");
    check("wss://example.com:443/", "example.com", 443, "example.com", "/");
    check("ws://example.com:443?a=/b&c=%20", "example.com", 443, "example.com:443", "/?a=/b&c=%20");
    check("ws://127.0.0.1:1/a?b", "127.0.0.1", 1, "127.0.0.1:1", "/a?b");
    check("ws://[::1]:8080/x", "::1", 8080, "[::1]:8080", "/x");
    check("wss://[2001:DB8:0:0::1]", "2001:db8::1", 443, "[2001:db8::1]", "/");
    check("ws://my_service.ns.", "my_service.ns.", 80, "my_service.ns.", "/");
    check("ws://host/a@b:c", "host", 80, "host", "/a@b:c");
    assert!("wss://h".parse::<Address>().is_ok_and(|address| address.is_secure()));
    assert!("ws://h".parse::<Address>().is_ok_and(|address| !address.is_secure()));
}

#[test]
fn each_mistake_has_its_own_error() {
    check_refused("", AddressError::SchemeMissing);
    check_refused("example.com:80", AddressError::SchemeMissing);
    check_refused("https://example.com", AddressError::Scheme("https".into()));
    check_refused("://example.com", AddressError::Scheme("".into()));
    check_refused("ws://ann:secret@example.com", AddressError::UserInfo);
    check_refused("ws://example.com/#top", AddressError::Fragment);
    check_refused("ws://example.com#top", AddressError::Fragment);
    check_refused("ws://", AddressError::HostMissing);
    check_refused("ws:///rpc", AddressError::HostMissing);
    check_refused("ws://:80", AddressError::HostMissing);
    check_refused("ws://exa mple.com", AddressError::Host("exa mple.com".into()));
    check_refused("ws://bücher.example", AddressError::Host("bücher.example".into()));
    check_refused("ws://a..b", AddressError::Host("a..b".into()));
    check_refused("ws://a\r\nb", AddressError::Host("a\r\nb".into()));
    check_refused("ws://::1", AddressError::Ipv6("::1".into()));
    check_refused("ws://[::1", AddressError::Ipv6("[::1".into()));
    check_refused("ws://[example.com]", AddressError::Ipv6("[example.com]".into()));
    check_refused("ws://[::1]80", AddressError::Ipv6("[::1]80".into()));
    check_refused("ws://[fe80::1%25eth0]", AddressError::Ipv6("[fe80::1%25eth0]".into()));
    check_refused("ws://h:", AddressError::Port("".into()));
    check_refused("ws://h:0", AddressError::Port("0".into()));
    check_refused("ws://h:+80", AddressError::Port("+80".into()));
    check_refused("ws://h:65536", AddressError::Port("65536".into()));
    check_refused("ws://h/a b", AddressError::Path(' '));
    check_refused("ws://h/\r\nX: y", AddressError::Path('\r'));
    check_refused("ws://h/ü", AddressError::Path('ü'));
}

#[test]
fn a_token_in_the_query_is_not_shown() {
    let address: Address = "wss://example.com:1/rpc?token=canary".parse().expect("a good address");
    assert_eq!(address.to_string(), "wss://example.com:1/rpc");
    assert_eq!(format!("{address:?}"), "Address(wss://example.com:1/rpc)");
}
