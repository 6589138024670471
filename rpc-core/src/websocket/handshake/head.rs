//! Reads one HTTP head: the first line and the headers, up to and including the empty line.

use httparse::{EMPTY_HEADER, Header, Status};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::HandshakeError;

const READ_BYTES: usize = 1 << 10;
/// The most headers of a head.
const HEADERS_MAX: usize = 124;

/// The bytes of a head, and those that came after it.
#[derive(Debug)]
pub(super) struct Head(Vec<u8>);

/// A client's head.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) is_http_1_1: bool,
    pub(super) headers: Headers,
    pub(super) rest: Vec<u8>,
}

/// A server's head.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: Headers,
    pub(super) rest: Vec<u8>,
}

/// Headers in their order, with lower-case names.
#[derive(Debug)]
pub(super) struct Headers(pub(super) Vec<(String, Vec<u8>)>);

impl Headers {
    fn new(parsed: &[Header<'_>]) -> Self {
        Self(parsed.iter().map(|header| (header.name.to_ascii_lowercase(), header.value.to_vec())).collect())
    }

    /// The values of all headers of this name, which is written in lower case.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| &value[..])
    }

    pub(super) fn first(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// Whether a list of words contains this one.
    pub(super) fn has_token(&self, name: &str, token: &str) -> bool {
        let mut words =
            self.all(name).flat_map(|value| value.split(|byte| matches!(byte, b' ' | b'\t' | b',')));
        words.any(|word| word.eq_ignore_ascii_case(token.as_bytes()))
    }
}

/// Reads until a head is complete, so that a peer that sends single bytes has it parsed only once. `check` sees all bytes after
/// each read: a peer that speaks another protocol may wait for an answer and never send a whole head.
pub(super) async fn read(
    io: &mut (impl AsyncRead + Unpin),
    bytes_max: usize,
    check: fn(&[u8]) -> Result<(), HandshakeError>,
) -> Result<Head, HandshakeError> {
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
            return Ok(Head(bytes));
        }
        searched = bytes.len().saturating_sub(2);
    }
}

impl Head {
    pub(super) fn request(self) -> Result<Request, HandshakeError> {
        let mut headers = [EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Request::new(&mut headers);
        let length = length(parsed.parse(&self.0))?;
        Ok(Request {
            method: parsed.method.unwrap_or_default().to_owned(),
            target: parsed.path.unwrap_or_default().to_owned(),
            is_http_1_1: parsed.version == Some(1),
            headers: Headers::new(parsed.headers),
            rest: self.0[length..].to_vec(),
        })
    }

    pub(super) fn response(self) -> Result<Response, HandshakeError> {
        let mut headers = [EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Response::new(&mut headers);
        let length = length(parsed.parse(&self.0))?;
        if parsed.version != Some(1) {
            return Err(HandshakeError::Malformed("it is not HTTP/1.1".into()));
        }
        Ok(Response {
            status: parsed.code.unwrap_or_default(),
            headers: Headers::new(parsed.headers),
            rest: self.0[length..].to_vec(),
        })
    }

    pub(super) fn strip_prefix(&self, prefix: &[u8]) -> Option<&[u8]> {
        self.0.strip_prefix(prefix)
    }
}

fn length(parsed: Result<Status<usize>, httparse::Error>) -> Result<usize, HandshakeError> {
    match parsed {
        Ok(Status::Complete(length)) => Ok(length),
        Ok(Status::Partial) => Err(HandshakeError::Malformed("it begins with an empty line".into())),
        Err(error) => Err(HandshakeError::Malformed(error.to_string())),
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
