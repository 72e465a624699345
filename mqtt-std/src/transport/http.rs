//! The head of an answer in HTTP/1: what a WebSocket and a proxy begin with.

use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Status, header fields, and what was read behind them.
pub(super) struct Answer {
    pub(super) status: u16,
    /// As the server words it.
    pub(super) reason: String,
    #[cfg(feature = "websocket")]
    headers: Vec<(String, String)>,
    pub(super) rest: BytesMut,
}

/// More than so many bytes are no head.
const MAXIMUM_LEN: usize = 16 * 1024;

/// More than so many fields neither.
const MAXIMUM_HEADERS: usize = 100;

impl Answer {
    /// Reads to the end of the head, and maybe beyond.
    pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let mut bytes = BytesMut::with_capacity(1024);
        let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
        loop {
            if stream.read_buf(&mut bytes).await? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed before the end of an answer in HTTP"));
            }
            let read = bytes.len();
            if let Some(answer) = Self::parse(&mut bytes).map_err(|error| invalid(error.to_string()))? {
                return Ok(answer);
            }
            if read > MAXIMUM_LEN {
                return Err(invalid("an answer in HTTP does not end".to_owned()));
            }
        }
    }

    fn parse(bytes: &mut BytesMut) -> Result<Option<Self>, httparse::Error> {
        let mut headers = [httparse::EMPTY_HEADER; MAXIMUM_HEADERS];
        let mut head = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(len) = head.parse(bytes)? else { return Ok(None) };
        let status = head.code.unwrap_or(0);
        let reason = head.reason.unwrap_or("").to_owned();
        #[cfg(feature = "websocket")]
        let headers = head
            .headers
            .iter()
            .map(|header| (header.name.to_owned(), String::from_utf8_lossy(header.value).into_owned()))
            .collect();
        bytes.advance(len);
        let rest = core::mem::take(bytes);
        Ok(Some(Self {
            status,
            reason,
            #[cfg(feature = "websocket")]
            headers,
            rest,
        }))
    }

    /// The value of a field; of the first one of several.
    #[cfg(feature = "websocket")]
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    }

    /// Tells whether one of the fields of this name lists the token.
    #[cfg(feature = "websocket")]
    pub(super) fn lists(&self, name: &str, token: &str) -> bool {
        let fields = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        fields.flat_map(|(_, value)| value.split(',')).any(|item| item.trim().eq_ignore_ascii_case(token))
    }
}
