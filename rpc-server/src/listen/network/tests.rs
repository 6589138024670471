use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn network(text: &str) -> Network {
    text.parse().expect("a network")
}

#[test]
fn ipv6_counts_by_its_first_64_bits_and_ipv4_by_all_32() {
    assert_eq!(Prefix::of(ip("2001:db8:1:2::1")), Prefix::of(ip("2001:db8:1:2:ffff::")));
    assert_ne!(Prefix::of(ip("2001:db8:1:2::1")), Prefix::of(ip("2001:db8:1:3::1")));
    assert_ne!(Prefix::of(ip("192.0.2.1")), Prefix::of(ip("192.0.2.2")));
}

#[test]
fn an_ipv4_address_that_is_written_as_ipv6_counts_as_ipv4() {
    assert_eq!(Prefix::of(ip("::ffff:192.0.2.1")), Prefix::of(ip("192.0.2.1")));
    assert_ne!(Prefix::of(ip("::ffff:192.0.2.1")), Prefix::of(ip("::ffff:192.0.2.2")));
}

#[test]
fn a_network_contains_what_begins_like_it() {
    for (of, inside, outside) in [
        ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
        ("10.9.9.9/8", "10.0.0.1", "11.0.0.1"),
        ("192.0.2.128/25", "192.0.2.255", "192.0.2.127"),
        ("192.0.2.7", "::ffff:192.0.2.7", "192.0.2.8"),
        ("::ffff:10.0.0.0/104", "10.1.2.3", "11.1.2.3"),
        ("fd00::/8", "fdff::1", "fe00::1"),
        ("2001:db8::1", "2001:db8::1", "2001:db8::2"),
        ("0.0.0.0/0", "255.255.255.255", "::"),
        ("::/0", "ffff::", "0.0.0.0"),
    ] {
        assert!(network(of).contains(ip(inside)), "{inside} is in {of}");
        assert!(!network(of).contains(ip(outside)), "{outside} is not in {of}");
    }
}

#[test]
fn what_is_no_network_is_named() {
    for text in ["", "/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8/8", "fd00::/129", "10.0.0/8", "office"] {
        let error = text.parse::<Network>().expect_err(text);
        assert!(error.to_string().starts_with(&format!("`{text}` is no network")), "{error}");
    }
    assert_eq!(network("10.9.9.9/8").to_string(), "10.0.0.0/8");
}
