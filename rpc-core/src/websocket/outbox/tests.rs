use bytes::Bytes;
use futures::task::noop_waker_ref;

use super::*;
use crate::buffer::message::Message;
use crate::{buffer::message::LONG_BYTES, seeded::Seeded};

/// A link that takes what it likes, when it likes.
struct Grudging {
    taken: Vec<u8>,
    seeded: Seeded,
}

impl AsyncWrite for Grudging {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let link = self.get_mut();
        if link.seeded.chance(20) {
            return Poll::Pending;
        }
        let count = 1 + link.seeded.below(bytes.len());
        link.taken.extend_from_slice(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What messages of these pieces are after a link that takes them bit by bit, each in a frame.
fn frames(role: Role, messages: &[Vec<usize>]) -> Vec<u8> {
    let mut outbox = Outbox::new(role);
    let mut link = Grudging { taken: Vec::new(), seeded: Seeded::new(9) };
    let mut cx = Context::from_waker(noop_waker_ref());
    for pieces in messages {
        let mut message = Message::default();
        for (number, length) in pieces.iter().enumerate() {
            let byte = u8::try_from(number).unwrap();
            message.bytes().push(byte);
            message.put_long(&Bytes::from(vec![byte; *length]));
        }
        outbox.push((&message).into());
        let _ = outbox.poll_write(&mut link, &mut cx, || {});
    }
    while outbox.poll_write(&mut link, &mut cx, || {}).is_pending() {}
    assert_eq!(outbox.len(), 0);
    link.taken
}

const PIECES: [&[usize]; 4] = [&[], &[1, 2], &[LONG_BYTES, 3, LONG_BYTES + 1], &[70_000, 5]];

fn plain(pieces: &[usize]) -> Vec<u8> {
    let bytes = pieces.iter().enumerate();
    bytes.flat_map(|(number, length)| vec![u8::try_from(number).unwrap(); length + 1]).collect()
}

#[test]
fn a_server_writes_frames_as_they_are() {
    let messages: Vec<Vec<usize>> = PIECES.map(<[usize]>::to_vec).to_vec();
    let mut expected = Vec::new();
    for pieces in PIECES {
        let payload = plain(pieces);
        let header = FrameHeader { opcode: OpCode::Data(Data::Binary), ..FrameHeader::default() };
        header.format(payload.len() as u64, &mut expected).unwrap();
        expected.extend(payload);
    }
    assert_eq!(frames(Role::Server, &messages), expected);
}

#[test]
fn a_client_masks_each_frame_with_another_key() {
    let messages: Vec<Vec<usize>> = PIECES.map(<[usize]>::to_vec).to_vec();
    let mut bytes = io::Cursor::new(frames(Role::Client, &messages));
    let mut masks = Vec::new();
    for pieces in PIECES {
        let (header, length) = FrameHeader::parse(&mut bytes).unwrap().expect("a header");
        let mask = header.mask.expect("it is masked");
        let start = usize::try_from(bytes.position()).unwrap();
        let end = start + usize::try_from(length).unwrap();
        let payload = bytes.get_ref()[start..end].iter().enumerate();
        let payload: Vec<u8> = payload.map(|(at, byte)| byte ^ mask[at % 4]).collect();
        assert_eq!(payload, plain(pieces));
        bytes.set_position(end as u64);
        masks.push(mask);
    }
    masks.sort_unstable();
    masks.dedup();
    // Two of four alike by chance: once in 700 million runs.
    assert_eq!(masks.len(), PIECES.len());
}
