//! Reads one HTTP head: the first line and the headers, up to and including the empty line.

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_tungstenite::tungstenite::{Error as CodecError, handshake::machine::TryParse};

use super::HandshakeError;

const READ_BYTES: usize = 1 << 10;

/// A parsed head and the bytes that came after it.
pub(super) struct Head<T> {
    pub(super) parsed: T,
    pub(super) rest: Vec<u8>,
}

/// Reads until a head is complete and parses it once, so that a peer that sends single bytes costs no more. `check` sees all
/// bytes after each read: a peer that speaks another protocol may wait for an answer and never send a whole head. `fault` turns
/// a parser's error into ours.
pub(super) async fn read<T: TryParse>(
    io: &mut (impl AsyncRead + Unpin),
    bytes_max: usize,
    check: fn(&[u8]) -> Result<(), HandshakeError>,
    fault: fn(CodecError, &[u8]) -> HandshakeError,
) -> Result<Head<T>, HandshakeError> {
    let mut bytes = Vec::with_capacity(READ_BYTES);
    let mut searched: usize = 0;
    loop {
        bytes.reserve(READ_BYTES);
        if io.read_buf(&mut bytes).await? == 0 {
            return Err(HandshakeError::Cut);
        }
        check(&bytes)?;
        // The end may lie across two reads.
        let end = find_end(&bytes[searched..]).map(|end| searched + end);
        if end.unwrap_or(bytes.len()) > bytes_max {
            return Err(HandshakeError::TooLong(bytes_max));
        }
        if end.is_some() {
            return match T::try_parse(&bytes) {
                Ok(Some((length, parsed))) => Ok(Head { parsed, rest: bytes[length..].to_vec() }),
                Ok(None) => Err(HandshakeError::Malformed("it begins with an empty line".into())),
                Err(error) => Err(fault(error, &bytes)),
            };
        }
        searched = bytes.len().saturating_sub(2);
    }
}

/// Where the bytes after the first empty line begin. Bare line feeds count, as they do for the parser.
fn find_end(bytes: &[u8]) -> Option<usize> {
    let mut line_feeds = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at);
    line_feeds.find_map(|at| match &bytes[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}
