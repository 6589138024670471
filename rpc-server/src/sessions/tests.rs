use rpc_core::{driver, memory};

use super::*;

/// A session that never has a socket, entered as one of this peer whose socket has ended.
fn detach(sessions: &Arc<Sessions>, number: u8, peer: &Peer, bytes: usize) -> (SessionId, Vec<Attachments>) {
    let (handle, _) = driver::start_detached(memory::SessionConfig::default());
    let id = SessionId::from([number; 16]);
    let waiting = (owner_of(peer), bytes, handle.attachments());
    let over = sessions.tables().detach(id, waiting, &sessions.options);
    (id, over)
}

fn sessions(options: ResumeOptions) -> Arc<Sessions> {
    Arc::new(Sessions::new(options))
}

fn at(address: &str) -> Peer {
    let mut peer = Peer::default();
    peer.address = Some(address.parse().expect("an address"));
    peer
}

fn is_waiting(sessions: &Sessions, id: SessionId) -> bool {
    sessions.tables().detached.contains_key(&id)
}

#[test]
fn a_peer_keeps_its_last_sessions() {
    let sessions = sessions(ResumeOptions { peer_detached_max: 2, ..ResumeOptions::default() });
    let (ann, bob) = (Peer::named("ann"), Peer::named("bob"));
    let [first, second, third] = [1, 2, 3].map(|number| detach(&sessions, number, &ann, 10));
    let (of_bob, _) = detach(&sessions, 4, &bob, 10);
    assert_eq!([first.1.len(), second.1.len(), third.1.len()], [0, 0, 1]);
    assert!(!is_waiting(&sessions, first.0), "the oldest of the same peer ends");
    assert!([second.0, third.0, of_bob].iter().all(|id| is_waiting(&sessions, *id)));
}

#[test]
fn anonymous_peers_count_by_address_and_not_on_loopback() {
    let sessions = sessions(ResumeOptions { peer_detached_max: 1, ..ResumeOptions::default() });
    let over = |number, peer: &str| detach(&sessions, number, &at(peer), 0).1.len();
    // The last 64 bits of an IPv6 address are the client's to choose.
    let counts = [over(1, "[2001:db8::1]:1"), over(2, "[2001:db8::2]:1"), over(3, "[2001:db8:0:1::1]:1")];
    assert_eq!(counts, [0, 1, 0]);
    assert_eq!((4..10).map(|number| over(number, "127.0.0.1:1")).sum::<usize>(), 0);
}

#[test]
fn all_sessions_together_are_bounded_by_number_and_bytes() {
    let sessions =
        sessions(ResumeOptions { detached_max: 3, detached_bytes_max: 100, ..ResumeOptions::default() });
    let ids: Vec<_> = (0..4).map(|number| detach(&sessions, number, &Peer::default(), 10).0).collect();
    assert_eq!(sessions.waiting(), (3, 30));
    assert!(!is_waiting(&sessions, ids[0]));
    let (large, over) = detach(&sessions, 9, &Peer::default(), 85);
    assert_eq!((over.len(), sessions.waiting()), (2, (2, 95)));
    assert!(is_waiting(&sessions, large) && is_waiting(&sessions, ids[3]));
    // One that is too large alone ends at once, and no other.
    let (_, over) = detach(&sessions, 10, &Peer::default(), 101);
    assert_eq!((over.len(), sessions.waiting()), (1, (2, 95)));
}

#[test]
fn sessions_that_go_on_leave_nothing_behind() {
    let sessions = sessions(ResumeOptions { peer_detached_max: 5, ..ResumeOptions::default() });
    for round in 0..1_000_u32 {
        let peer = Peer::named(format!("peer {}", round % 7));
        let (id, over) = detach(&sessions, u8::try_from(round % 3).expect("small"), &peer, 5);
        assert!(over.is_empty());
        if round % 4 != 0 {
            sessions.tables().attached(id);
        }
    }
    let tables = sessions.tables();
    assert!(tables.order.len() < 100 && tables.by_owner.len() <= 3, "{}", tables.order.len());
    drop(tables);
    for number in 0..3 {
        sessions.tables().attached(SessionId::from([number; 16]));
    }
    let tables = sessions.tables();
    assert_eq!((tables.bytes, tables.order.len(), tables.by_owner.len()), (0, 0, 0));
}

#[test]
fn an_id_is_taken_until_its_session_is_over() {
    let sessions = sessions(ResumeOptions::default());
    let id = SessionId::from([1; 16]);
    let place = sessions.claim(id).expect("the id is free");
    assert!(sessions.claim(id).is_none() && sessions.find(id).is_none(), "it has not begun");
    let (handle, _) = driver::start_detached(memory::SessionConfig::default());
    let entry = place.enter(&handle, owner_of(&Peer::default()), Principal::Anonymous);
    assert!(sessions.claim(id).is_none() && sessions.find(id).is_some());
    drop(entry);
    assert!(sessions.claim(id).is_some());
}

fn lose(sessions: &Arc<Sessions>, number: u32, bytes: usize) {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&number.to_le_bytes());
    let place = Place { sessions: Arc::clone(sessions), id: SessionId::from(id) };
    place.recalls(Principal::Anonymous).0.keep(LastResults::of_bytes(bytes));
}

/// The lost sessions that are remembered, their bytes, and the places in line.
fn lost(sessions: &Sessions) -> (usize, usize, usize) {
    let tables = sessions.tables();
    (tables.lost.len(), tables.lost_bytes, tables.lost_order.len())
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_lost_sessions_leave_what_there_is_room_for_and_nothing_after_the_window() {
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let window = Duration::from_secs(120);
    let options =
        ResumeOptions { window, detached_max: 100, detached_bytes_max: 5_000, ..ResumeOptions::default() };
    for (bytes, expected) in [(10, (100, 1_000, 100)), (100, (50, 5_000, 50)), (6_000, (0, 0, 0))] {
        let sessions = sessions(options.clone());
        for number in 0..10_000 {
            lose(&sessions, number, bytes);
            assert!(lost(&sessions).1 <= 5_000 && lost(&sessions).0 <= 100);
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert_eq!(lost(&sessions), expected);
        assert!(tasks() <= before + 1, "{} tasks wait", tasks() - before);
        // The last one was left a millisecond before.
        tokio::time::sleep(window - Duration::from_millis(60)).await;
        assert!(lost(&sessions).0 <= expected.0);
        tokio::time::sleep(Duration::from_millis(60)).await;
        assert_eq!(lost(&sessions), (0, 0, 0));
        assert_eq!(tasks(), before);
        // The next one is forgotten in time as well.
        lose(&sessions, 1, 10);
        assert_eq!(lost(&sessions), (1, 10, 1));
        tokio::time::sleep(window + Duration::from_millis(1)).await;
        assert_eq!(lost(&sessions), (0, 0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn an_id_that_is_lost_again_and_again_takes_one_place() {
    let sessions = sessions(ResumeOptions::default());
    for bytes in 0..10_000 {
        lose(&sessions, 1, bytes);
    }
    assert_eq!(lost(&sessions), (1, 9_999, 1));
}

#[tokio::test(start_paused = true)]
async fn what_lost_sessions_left_makes_room_for_those_that_wait() {
    let sessions = sessions(ResumeOptions { detached_bytes_max: 100, ..ResumeOptions::default() });
    lose(&sessions, 1, 40);
    lose(&sessions, 2, 40);
    let (id, over) = detach(&sessions, 3, &Peer::default(), 50);
    assert!(over.is_empty() && is_waiting(&sessions, id));
    assert_eq!(lost(&sessions), (1, 40, 1));
    // There is no room for another one, and a session that waits gives none.
    lose(&sessions, 4, 60);
    assert_eq!((lost(&sessions), sessions.waiting()), ((0, 0, 0), (1, 50)));
}
