use super::*;

fn ranked(handshakes: usize, oldest: u64, address: &str) -> Ranked {
    let prefix = Prefix::of(address.parse().expect("an address"));
    Ranked { handshakes, oldest: Number(oldest), prefix }
}

/// Takes the addresses out, the one with the most handshakes first.
fn drain(entries: &[Ranked]) -> Vec<Ranked> {
    let mut ranking = Ranking::default();
    entries.iter().for_each(|entry| ranking.insert(*entry));
    let mut order = Vec::new();
    while let Some(prefix) = ranking.most() {
        let most = *entries.iter().find(|entry| entry.prefix == prefix).expect("it was put in");
        ranking.remove(most);
        order.push(most);
    }
    assert!(ranking.crowds.is_empty() && ranking.order.is_empty());
    order
}

#[test]
fn handshakes_count_first_then_neighbours_then_age() {
    let many = ranked(3, 9, "192.0.2.1");
    let newer_neighbours =
        [ranked(1, 4, "198.51.100.1"), ranked(1, 6, "198.51.100.2"), ranked(1, 7, "198.51.100.3")];
    let older_neighbours = [ranked(1, 2, "203.0.113.1"), ranked(1, 8, "203.0.113.2")];
    let alone = ranked(1, 1, "192.0.3.1");
    let mut entries = vec![alone, many];
    entries.extend(older_neighbours);
    entries.extend(newer_neighbours);
    let order = drain(&entries);
    // Of two crowds of two, the crowd with the oldest handshake goes first; then the other crowd is larger.
    let expected = [
        many,
        newer_neighbours[0],
        older_neighbours[0],
        newer_neighbours[1],
        alone,
        newer_neighbours[2],
        older_neighbours[1],
    ];
    assert_eq!(order, expected);
}

#[test]
fn ipv6_neighbours_share_what_a_provider_has() {
    let provider = [ranked(1, 2, "2001:db8:1::1"), ranked(1, 3, "2001:db8:ffff::1")];
    let other = ranked(1, 1, "2001:db9::1");
    assert_eq!(drain(&[other, provider[0], provider[1]])[0], provider[0]);
}
