use std::{collections::VecDeque, future::poll_fn};

use futures::future::join;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::{
    buffer::message::{Message, Out},
    websocket::metered::{BULK_TARGET_BYTES, WRITE_TARGET_BYTES},
};

const BINARY: u8 = 0x82;
const PING: u8 = 0x89;

/// What the socket under test does, as futures.
trait Steps {
    async fn receive(&mut self) -> Option<Result<Bytes, SocketError>>;
    async fn say(&mut self, message: impl Into<Bytes>);
    async fn close(&mut self, code: u16, reason: &str) -> Result<(), SocketError>;
}

impl Steps for Socket<DuplexStream> {
    async fn receive(&mut self) -> Option<Result<Bytes, SocketError>> {
        poll_fn(|cx| self.poll_receive(cx)).await
    }

    async fn say(&mut self, message: impl Into<Bytes>) {
        poll_fn(|cx| self.poll_ready(cx)).await.expect("ready");
        self.send((&in_pieces(message.into())).into()).expect("sent");
        poll_fn(|cx| self.poll_flush(cx)).await.expect("flushed");
    }

    async fn close(&mut self, code: u16, reason: &str) -> Result<(), SocketError> {
        poll_fn(|cx| self.poll_close(cx, code, reason)).await
    }
}

/// A server's socket and, at the other end, a client that is only bytes.
fn server(limits: &Limits, link_bytes: usize) -> (Socket<DuplexStream>, DuplexStream) {
    let (io, peer) = duplex(link_bytes);
    (Socket::open(io, Role::Server, limits, Vec::new()), peer)
}

fn pair(link_bytes: usize) -> (Socket<DuplexStream>, Socket<DuplexStream>) {
    let (client, server) = duplex(link_bytes);
    let limits = Limits::default();
    (
        Socket::open(client, Role::Client, &limits, Vec::new()),
        Socket::open(server, Role::Server, &limits, Vec::new()),
    )
}

/// A message whose bytes lie in several places.
fn in_pieces(mut bytes: Bytes) -> Message {
    let mut message = Message::default();
    message.bytes().extend_from_slice(&bytes.split_to(bytes.len().min(3)));
    message.put_long(&bytes);
    message
}

/// A client's frame. Its mask is zero, so the payload is readable.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..126 => bytes.push(0x80 | u8::try_from(len).expect("below 126")),
        len => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(len).expect("short payloads only").to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    frame(0x88, &[&code.to_be_bytes()[..], reason.as_bytes()].concat())
}

/// Reads what the socket sent until it ends, and answers the close code if that was its last frame.
async fn close_code_at_the_end(peer: &mut DuplexStream) -> Option<u16> {
    let mut bytes = Vec::new();
    peer.read_to_end(&mut bytes).await.expect("memory does not fail");
    let at = bytes.iter().rposition(|byte| *byte == 0x88)?;
    let [_, _, high, low, ..] = bytes[at..] else { return None };
    Some(u16::from_be_bytes([high, low]))
}

/// The peer sends `bytes`; the socket must refuse them with this error and close with this code.
async fn check_refused(limits: &Limits, bytes: &[u8], reason: &str, code: u16) {
    let (mut socket, mut peer) = server(limits, 1 << 20);
    peer.write_all(bytes).await.expect("the link has room");
    let error = loop {
        match socket.receive().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("closed in good order"),
        }
    };
    assert!(format!("{error:?}").contains(reason), "{error:?}");
    let (closed, heard) = join(socket.close(1000, "bye"), close_code_at_the_end(&mut peer)).await;
    closed.expect("nothing is left to fail");
    assert_eq!(heard, Some(code));
}

#[tokio::test(start_paused = true)]
async fn messages_arrive_whole_in_both_directions() {
    let (mut client, mut server) = pair(100);
    let long = Bytes::from(vec![7; SEND_BYTES_MAX]);
    let exchange = join(
        async {
            client.say(Bytes::new()).await;
            client.say(long.clone()).await;
            client.receive().await.expect("open").expect("a message")
        },
        async {
            assert_eq!(server.receive().await.expect("open").expect("a message"), Bytes::new());
            assert_eq!(server.receive().await.expect("open").expect("a message"), long);
            server.say("over").await;
        },
    );
    assert_eq!(exchange.await.0, "over");
}

#[tokio::test(start_paused = true)]
async fn frames_that_came_with_the_handshake_are_received_first() {
    let (io, mut peer) = duplex(1 << 10);
    let early = [frame(BINARY, b"one"), frame(BINARY, b"two")[..5].to_vec()].concat();
    let mut socket = Socket::open(io, Role::Server, &Limits::default(), early);
    peer.write_all(&frame(BINARY, b"two")[5..]).await.expect("the link has room");
    assert_eq!(socket.receive().await.expect("open").expect("a message"), "one");
    assert_eq!(socket.receive().await.expect("open").expect("a message"), "two");
}

#[tokio::test(start_paused = true)]
async fn no_message_is_lost_or_reordered_when_buffers_are_rebuilt() {
    // SplitMix64: the same sequence in every run.
    let mut state = 7_u64;
    let mut random = move |below: usize| {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        usize::try_from((mixed ^ (mixed >> 27)) >> 33).expect("31 bits") % below
    };
    let (mut client, mut server) = pair(20_000);
    let mut messages = VecDeque::new();
    for number in 0..6_000_u32 {
        // Phases of long messages, of short ones, and of silence.
        let (longest, pause) = match number / 10 % 4 {
            0 => (SEND_BYTES_MAX, 0),
            1 => (300, 0),
            2 => (9_000, 0),
            _ => (100, if number % 10 == 5 { 6 } else { 0 }),
        };
        let mut message = vec![number.to_le_bytes()[0]; 4 + random(longest - 4)];
        message[..4].copy_from_slice(&number.to_le_bytes());
        messages.push_back((Duration::from_secs(pause), Bytes::from(message)));
    }
    let expected = messages.clone();
    let mut echoes = expected.clone();
    // The server echoes; so both directions carry data, and rebuilds meet unflushed writes.
    let mut unanswered = VecDeque::new();
    let mut silence = Box::pin(tokio::time::sleep(Duration::ZERO));
    poll_fn(|cx| {
        while let Poll::Ready(message) = server.poll_receive(cx) {
            unanswered.push_back(message.expect("open").expect("a message"));
        }
        while !unanswered.is_empty() && server.poll_ready(cx).is_ready() {
            server.send((&in_pieces(unanswered.pop_front().expect("not empty"))).into()).expect("sent");
        }
        let _ = server.poll_flush(cx);
        while let Poll::Ready(message) = client.poll_receive(cx) {
            let (_, sent) = echoes.pop_front().expect("no more than was sent");
            assert!(message.expect("open").expect("a message") == sent, "lost, reordered or changed");
        }
        let in_flight = echoes.len() - messages.len();
        let due =
            |messages: &VecDeque<(Duration, Bytes)>| messages.front().map_or(Duration::ZERO, |next| next.0);
        if due(&messages) > Duration::ZERO && in_flight == 0 {
            silence.as_mut().reset(Instant::now() + due(&messages));
            messages.front_mut().expect("not empty").0 = Duration::ZERO;
        }
        if silence.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        while due(&messages) == Duration::ZERO && !messages.is_empty() && client.poll_ready(cx).is_ready() {
            client.send((&in_pieces(messages.pop_front().expect("not empty").1)).into()).expect("sent");
        }
        let _ = client.poll_flush(cx);
        if echoes.is_empty() {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
    assert!(client.rebuilds > 300, "only {} rebuilds of the client", client.rebuilds);
    assert!(server.rebuilds > 300, "only {} rebuilds of the server", server.rebuilds);
}

#[tokio::test(start_paused = true)]
async fn buffers_grow_for_large_messages_and_shrink_in_silence() {
    let (mut client, mut server) = pair(1 << 20);
    for _ in 0..10 {
        client.say(vec![1; 60_000]).await;
        server.receive().await.expect("open").expect("a message");
    }
    assert_eq!(server.metered().sizing.read_bytes(), 64 << 10);
    // Longer than the quiet period, shorter than the heartbeat.
    let silence = tokio::time::timeout(Duration::from_secs(10), join(server.receive(), client.receive()));
    assert!(silence.await.is_err());
    assert_eq!(server.metered().sizing.read_bytes(), 512);
    assert_eq!(client.metered().sizing.read_bytes(), 512);
}

#[tokio::test(start_paused = true)]
async fn a_write_buffer_that_grew_shrinks_while_small_messages_go_on() {
    let (mut client, mut server) = pair(1 << 20);
    client.say(vec![1; 60_000]).await;
    assert!(client.metered().outbox.capacity() >= 60_000, "a client masks what it sends");
    for _ in 0..6 {
        server.say("small").await;
        let second = Duration::from_secs(1);
        client.receive().await.expect("open").expect("a message");
        assert!(tokio::time::timeout(second, client.receive()).await.is_err());
    }
    assert_eq!(client.metered().sizing.read_bytes(), 2 << 10, "it is not idle");
    assert_eq!(client.rebuilds, 1, "for the reads");
    assert!(client.metered().outbox.capacity() < 1_000);
}

#[tokio::test(start_paused = true)]
async fn a_refused_peer_may_finish_its_sentence_and_read_why() {
    let (mut socket, mut peer) = server(&Limits::default(), 1 << 10);
    let talk = async {
        peer.write_all(&frame(0x81, b"text")).await.expect("the socket reads");
        peer.write_all(&[0; 50_000]).await.expect("the socket still reads");
        close_code_at_the_end(&mut peer).await
    };
    let refuse = async {
        socket.receive().await.expect("open").expect_err("text");
        socket.close(1000, "").await.expect("closed");
        drop(socket);
    };
    // The peer does not hang up, so the farewell ends with its time.
    let (code, ()) = join(talk, refuse).await;
    assert_eq!(code, Some(close_codes::TEXT));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_pings_and_never_reads_costs_bounded_memory() {
    let (mut socket, mut peer) = server(&Limits::public(), 256);
    let ping = frame(PING, &[9; 125]);
    // Slow enough for the control frame limit: ten a second, for a day.
    let flood = async {
        for _ in 0..10 * 60 * 60 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            peer.write_all(&ping).await.expect("the socket keeps reading");
        }
    };
    tokio::select! {
        message = socket.receive() => panic!("{message:?}"),
        () = flood => {}
    }
    let blocked = poll_fn(|cx| Poll::Ready(socket.poll_ready(cx).is_pending())).await;
    assert!(blocked, "a peer that does not read is not sent more");
    let mut read = 0;
    let mut space = vec![0; 4096];
    let said = async {
        socket.say("hello").await;
        drop(socket);
    };
    let drained = async {
        let mut last = Vec::new();
        loop {
            let len = peer.read(&mut space).await.expect("memory does not fail");
            if len == 0 {
                break last;
            }
            read += len;
            last = [last, space[..len].to_vec()].concat();
        }
    };
    let ((), bytes) = join(said, drained).await;
    let hello = [BINARY, 5, b'h', b'e', b'l', b'l', b'o'];
    assert!(bytes.windows(hello.len()).any(|bytes| bytes == hello), "the message comes beside the pongs");
    let kept = 2 * WRITE_TARGET_BYTES + CONTROL_BYTES_MAX;
    assert!(read < kept, "{read} bytes were kept for a peer that did not read");
}

#[tokio::test(start_paused = true)]
async fn a_sender_waits_for_a_peer_that_does_not_read() {
    let (mut socket, mut peer) = server(&Limits::default(), 1 << 10);
    let mut sent = 0;
    while poll_fn(|cx| Poll::Ready(socket.poll_ready(cx))).await.is_ready() {
        socket.send((&in_pieces(vec![0; 50_000].into())).into()).expect("there was room");
        sent += 1;
    }
    assert_eq!(sent, BULK_TARGET_BYTES.div_ceil(50_004), "the link holds 1 KiB only");
    let mut space = vec![0; sent * 50_004];
    let drain = peer.read_exact(&mut space);
    let (ready, drained) = join(poll_fn(|cx| socket.poll_ready(cx)), drain).await;
    ready.expect("the peer reads again");
    drained.expect("all messages");
    // A link that is known to be full is given nothing more, however little waits.
    socket.send((&in_pieces(vec![0; 2_000].into())).into()).expect("there is room again");
    assert!(poll_fn(|cx| Poll::Ready(socket.poll_flush(cx))).await.is_pending());
    assert!(poll_fn(|cx| Poll::Ready(socket.poll_ready(cx))).await.is_pending());
}

#[tokio::test(start_paused = true)]
async fn a_message_longer_than_a_batch_is_not_sent() {
    let (mut socket, _peer) = server(&Limits::default(), 1 << 20);
    let error = socket.send((&in_pieces(vec![0; SEND_BYTES_MAX + 1].into())).into()).expect_err("too long");
    assert!(matches!(error, SocketError::TooLong { .. }), "{error:?}");
    socket.say(vec![0; SEND_BYTES_MAX]).await;
}

#[tokio::test(start_paused = true)]
async fn hostile_frames_are_refused_each_with_its_code() {
    let limits = Limits::public();
    let message = frame(BINARY, b"fine");
    check_refused(&limits, &frame(PING, b"x").repeat(21), "control_frames_burst", 4429).await;
    check_refused(&limits, &frame(0x02, b""), "Protocol", 1002).await;
    let fragments = [frame(0x02, b"x"), frame(0x00, b"x").repeat(1_024)].concat();
    check_refused(&limits, &fragments, "message_frames_max", 1008).await;
    check_refused(&limits, &[BINARY, 0xFF, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], "message_bytes_max", 1009)
        .await;
    check_refused(&limits, &[message.clone(), frame(0x81, b"hi")].concat(), "Text", 1003).await;
    check_refused(&limits, &[BINARY, 2, b'h', b'i'], "unmasked", 1002).await;
    check_refused(&limits, &frame(0x80, b"hi"), "nothing to continue", 1002).await;
    check_refused(&limits, &[frame(0x02, b"a"), message.clone()].concat(), "more fragments", 1002).await;
    check_refused(&limits, &frame(0xC2, b"hi"), "Reserved bits", 1002).await;
    check_refused(&limits, &frame(0x83, b"hi"), "opcode", 1002).await;
    check_refused(&limits, &frame(0x09, b"hi"), "Fragmented control", 1002).await;
    check_refused(&limits, &frame(PING, &[0; 126]), "too big", 1002).await;
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_empty_fragments_is_cut_at_its_first() {
    let (mut socket, mut peer) = server(&Limits::public(), 1 << 10);
    let flood = async {
        let fragments = frame(0x00, b"").repeat(100);
        let mut sent = 0;
        peer.write_all(&frame(0x02, b"x")).await.expect("the first fragment");
        while peer.write_all(&fragments).await.is_ok() {
            sent += fragments.len();
            assert!(sent < 1 << 20, "the socket takes it all");
        }
    };
    let refused = async {
        let error = socket.receive().await.expect("open").expect_err("an empty fragment");
        assert!(matches!(error, SocketError::Protocol(_)), "{error:?}");
        socket.close(1000, "").await.expect("a peer that goes on is left alone");
        drop(socket);
    };
    join(refused, flood).await;
}

#[tokio::test(start_paused = true)]
async fn an_unfinished_message_ends_the_socket_in_time() {
    let limits = Limits { ping_interval: Duration::from_secs(100), ..Limits::default() };
    let (mut socket, mut peer) = server(&limits, 1 << 20);
    // The socket already sleeps until the next ping when the message begins.
    let silent = tokio::time::timeout(Duration::from_secs(1), socket.receive());
    assert!(silent.await.is_err());
    let started = Instant::now();
    let message = frame(BINARY, &[0; 1_000]);
    let drip = async {
        for byte in &message {
            peer.write_all(&[*byte]).await.expect("the link has room");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        message = socket.receive() => {
            let error = message.expect("open").expect_err("a timeout");
            assert!(format!("{error:?}").contains("message_timeout"), "{error:?}");
        }
        () = drip => panic!("it was allowed to go on"),
    }
    assert_eq!(started.elapsed().as_secs(), 30);
    let (_, code) = join(socket.close(1000, ""), close_code_at_the_end(&mut peer)).await;
    assert_eq!(code, Some(close_codes::POLICY));
}

#[tokio::test(start_paused = true)]
async fn a_length_limit_can_be_lowered_until_the_peer_is_known() {
    let (mut socket, mut peer) = server(&Limits::default(), 1 << 20);
    socket.set_message_bytes_max(100);
    peer.write_all(&frame(BINARY, &[1; 100])).await.expect("the link has room");
    socket.receive().await.expect("open").expect("within the limit");
    socket.set_message_bytes_max(1_000);
    peer.write_all(&frame(BINARY, &[1; 1_000])).await.expect("the link has room");
    socket.receive().await.expect("open").expect("within the raised limit");
    peer.write_all(&frame(BINARY, &[1; 1_001])).await.expect("the link has room");
    let error = socket.receive().await.expect("open").expect_err("above the limit");
    assert!(format!("{error:?}").contains("message_bytes_max"), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_pinged_and_then_given_up() {
    let (mut socket, mut peer) = server(&Limits::default(), 1 << 10);
    let started = Instant::now();
    let error = socket.receive().await.expect("open").expect_err("nobody answers");
    assert!(matches!(error, SocketError::PingTimeout(_)), "{error:?}");
    assert_eq!(started.elapsed().as_secs(), 30);
    drop(socket);
    let mut bytes = Vec::new();
    peer.read_to_end(&mut bytes).await.expect("memory does not fail");
    assert_eq!(bytes, [PING, 0]);
}

#[tokio::test(start_paused = true)]
async fn two_idle_sockets_keep_each_other_alive() {
    let (mut client, mut server) = pair(1 << 10);
    let idle = join(client.receive(), server.receive());
    assert!(tokio::time::timeout(Duration::from_secs(3_600), idle).await.is_err());
    client.say("still here").await;
    assert_eq!(server.receive().await.expect("open").expect("a message"), "still here");
}

#[tokio::test(start_paused = true)]
async fn any_traffic_puts_the_ping_off() {
    let (mut socket, mut peer) = server(&Limits::default(), 1 << 10);
    let talk = async {
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_secs(19)).await;
            peer.write_all(&frame(BINARY, b"x")).await.expect("the link has room");
        }
    };
    let listen = async {
        for _ in 0..100 {
            socket.receive().await.expect("open").expect("a message");
        }
    };
    join(talk, listen).await;
    drop(socket);
    let mut bytes = Vec::new();
    peer.read_to_end(&mut bytes).await.expect("memory does not fail");
    assert_eq!(bytes, [] as [u8; 0], "it pinged");
}

#[tokio::test(start_paused = true)]
async fn the_peers_close_is_answered_and_reported() {
    let (mut socket, mut peer) = server(&Limits::default(), 1 << 10);
    peer.write_all(&close_frame(1001, "restarting")).await.expect("the link has room");
    assert!(socket.receive().await.is_none());
    assert_eq!(socket.peer_close(), Some(&PeerClose { code: 1001, text: "restarting".into() }));
    drop(socket);
    assert_eq!(close_code_at_the_end(&mut peer).await, Some(1001));
}

#[tokio::test(start_paused = true)]
async fn both_roles_close_in_good_order_with_code_and_reason() {
    for closes_first in [Role::Client, Role::Server] {
        let (client, server) = pair(1 << 10);
        let (mut first, mut second) = match closes_first {
            Role::Client => (client, server),
            Role::Server => (server, client),
        };
        first.say("last words").await;
        let long = "ü".repeat(200);
        let (closed, ()) = join(first.close(4000, &long), async {
            assert_eq!(second.receive().await.expect("open").expect("a message"), "last words");
            assert!(second.receive().await.is_none());
            second.close(1000, "").await.expect("closed");
        })
        .await;
        closed.expect("answered");
        let heard = second.peer_close().expect("a close frame");
        assert_eq!((heard.code, heard.text.as_str()), (4000, &long[..122]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_waits_for_the_answer_but_not_forever() {
    let (mut socket, mut peer) = server(&Limits::default(), 1 << 10);
    let started = Instant::now();
    // It keeps sending and does not close.
    peer.write_all(&frame(BINARY, b"x")).await.expect("the link has room");
    let error = socket.close(1000, "bye").await.expect_err("no answer");
    assert!(format!("{error:?}").contains("close_timeout"), "{error:?}");
    assert_eq!(started.elapsed(), Limits::default().close_timeout);
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_cut_is_reported_wherever_it_happens() {
    let message = frame(BINARY, b"half");
    for sent in [0, 1, 3, 8] {
        let (mut socket, mut peer) = server(&Limits::default(), 1 << 10);
        peer.write_all(&message[..sent]).await.expect("the link has room");
        drop(peer);
        let error = socket.receive().await.expect("not in good order").expect_err("not a message");
        assert!(matches!(error, SocketError::Cut), "{error:?}");
        socket.close(1000, "").await.expect("nothing is left to close");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_slowly_and_says_nothing_is_alive() {
    let (mut socket, mut peer) = server(&Limits::default(), 256);
    poll_fn(|cx| socket.poll_ready(cx)).await.expect("ready");
    socket.send((&in_pieces(vec![7; 60_000].into())).into()).expect("sent");
    let slowly = async {
        let mut space = [0; 256];
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            peer.read_exact(&mut space).await.expect("the socket goes on");
        }
    };
    let sending = poll_fn(|cx| {
        let _ = socket.poll_flush(cx);
        socket.poll_receive(cx)
    });
    tokio::select! {
        ended = sending => panic!("{ended:?}"),
        () = slowly => {}
    }
}
