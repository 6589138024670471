use super::*;

const BINARY: u8 = 0x82;
const FIRST: u8 = 0x02;
const MIDDLE: u8 = 0x00;
const LAST: u8 = 0x80;
const PING: u8 = 0x89;

fn limits() -> Limits {
    Limits { message_bytes_max: 1_000, message_frames_max: 4, control_frames_burst: 4, ..Limits::default() }
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let len = u8::try_from(payload.len()).expect("short payloads only");
    assert!(len < 126);
    let mut bytes = vec![first, len];
    bytes.extend(payload);
    bytes
}

struct Peer {
    meter: Meter,
    now: Instant,
}

impl Peer {
    fn new() -> Self {
        Self { meter: Meter::new(&limits()), now: Instant::now() }
    }

    fn sends(&mut self, bytes: &[u8]) -> Result<(), SocketError> {
        self.meter.observe(self.now, bytes)
    }

    #[track_caller]
    fn check_refused(&mut self, bytes: &[u8], reason: &str) {
        let error = self.sends(bytes).expect_err("the meter accepted it");
        assert!(format!("{error:?}").contains(reason), "{error:?}");
    }
}

#[test]
fn every_split_of_a_header_is_understood() {
    // Masked, with the 16-bit and the 64-bit length, between two short frames.
    let mut bytes = frame(BINARY, b"abc");
    bytes.extend([BINARY, 0x80 | 126, 0, 200, 1, 2, 3, 4]);
    bytes.extend([7; 200]);
    bytes.extend([BINARY, 127, 0, 0, 0, 0, 0, 0, 0, 130]);
    bytes.extend([7; 130]);
    bytes.extend(frame(PING, b""));
    for step in 1..bytes.len() {
        let mut peer = Peer::new();
        for part in bytes.chunks(step) {
            peer.sends(part).expect("a legal sequence");
        }
        assert!(peer.meter.is_between_messages(4), "in steps of {step}");
        assert!(!peer.meter.is_between_messages(3));
    }
}

#[test]
fn a_message_is_complete_only_with_its_last_byte() {
    let mut bytes = frame(FIRST, b"ab");
    bytes.extend(frame(PING, b"x"));
    bytes.extend(frame(LAST, b"cd"));
    let mut peer = Peer::new();
    for (at, byte) in bytes.iter().enumerate() {
        peer.sends(&[*byte]).expect("a legal sequence");
        let is_last = at == bytes.len() - 1;
        let delivered = if at >= 6 { 1 } else { 0 } + u64::from(is_last);
        assert_eq!(peer.meter.is_between_messages(delivered), is_last, "after byte {at}");
    }
}

#[test]
fn a_message_in_too_many_frames_is_refused() {
    let mut peer = Peer::new();
    peer.sends(&frame(FIRST, b"a")).expect("frame 1");
    peer.sends(&frame(MIDDLE, b"a")).expect("frame 2");
    peer.sends(&frame(MIDDLE, b"a")).expect("frame 3");
    peer.sends(&frame(LAST, b"a")).expect("frame 4");
    peer.sends(&frame(FIRST, b"a")).expect("frame 1 of the next message");
    peer.sends(&[frame(MIDDLE, b"a"), frame(MIDDLE, b"a"), frame(MIDDLE, b"a")].concat())
        .expect("frames 2 to 4");
    peer.check_refused(&frame(LAST, b"a"), "message_frames_max");
}

#[test]
fn an_empty_fragment_is_refused_unless_it_is_the_last() {
    let mut peer = Peer::new();
    peer.sends(&frame(FIRST, b"a")).expect("a first fragment");
    peer.sends(&frame(LAST, b"")).expect("an empty last fragment");
    peer.sends(&frame(BINARY, b"")).expect("an empty message");
    peer.check_refused(&frame(FIRST, b""), "empty fragment");
}

#[test]
fn an_announced_length_above_the_limit_is_refused_at_its_header() {
    Peer::new().sends(&[BINARY, 126, 0x03, 0xE8]).expect("1,000 bytes are allowed");
    Peer::new().check_refused(&[BINARY, 126, 0x03, 0xE9], "message_bytes_max");
    Peer::new()
        .check_refused(&[BINARY, 127, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], "message_bytes_max");
    Peer::new()
        .check_refused(&[PING, 127, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], "message_bytes_max");
}

#[test]
fn fragments_count_together_against_the_message_length() {
    let mut peer = Peer::new();
    peer.sends(&[FIRST, 126, 0x03, 0xE8]).expect("the first header");
    peer.sends(&[0; 1_000]).expect("its payload");
    peer.check_refused(&frame(LAST, b"a"), "message_bytes_max");
}

#[test]
fn text_is_refused_at_its_header() {
    Peer::new().check_refused(&[0x81, 0x05], "Text");
}

#[test]
fn control_frames_are_refused_after_a_burst_and_allowed_again_as_time_passes() {
    let mut peer = Peer::new();
    for _ in 0..4 {
        peer.sends(&frame(PING, b"")).expect("the burst");
    }
    peer.now += Duration::from_millis(500);
    peer.sends(&frame(PING, b"")).expect("one came back");
    peer.check_refused(&frame(PING, b""), "control_frames_burst");

    let mut peer = Peer::new();
    peer.now += Duration::from_secs(3_600);
    peer.sends(&frame(PING, b"").repeat(4)).expect("the burst");
    peer.check_refused(&frame(PING, b""), "control_frames_burst");
}

#[test]
fn a_burst_of_zero_refuses_every_control_frame() {
    let mut meter = Meter::new(&Limits { control_frames_burst: 0, ..limits() });
    assert!(meter.observe(Instant::now(), &frame(PING, b"")).is_err());
}

#[test]
fn the_deadline_counts_from_the_first_byte_and_ends_with_the_last() {
    let mut peer = Peer::new();
    let due = Some(peer.now + limits().message_timeout);
    assert_eq!(peer.meter.deadline(), None);
    peer.sends(&[FIRST]).expect("half a header");
    assert_eq!(peer.meter.deadline(), due);
    peer.now += Duration::from_secs(1);
    peer.sends(&[1, b'a']).expect("the rest of the fragment");
    peer.sends(&frame(PING, b"x")).expect("a ping between fragments");
    assert_eq!(peer.meter.deadline(), due, "a control frame does not restart the clock");
    peer.sends(&frame(LAST, b"b")).expect("the last fragment");
    assert_eq!(peer.meter.deadline(), None);
}

#[test]
fn what_follows_a_close_is_left_to_the_codec() {
    let mut peer = Peer::new();
    peer.sends(&frame(0x88, &[0x03, 0xE8])).expect("a close");
    peer.sends(&[0x81; 100]).expect("anything");
    assert!(!peer.meter.is_between_messages(1), "a codec that is closing is never rebuilt");
}
