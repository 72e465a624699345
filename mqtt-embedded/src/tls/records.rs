//! The records of a server, looked at before `embedded-tls` sees them.

use embedded_io_async::{Error as _, ErrorKind, ErrorType, Read, Write};

use crate::transport::Half;

/// A connection whose server sends nothing at which `embedded-tls` 0.19 panics: a handshake message that is not encrypted, behind
/// `ServerHello`, or an encrypted record with nothing inside. Either ends the connection.
#[derive(Debug)]
pub struct Records<'a, T> {
    socket: Half<'a, T>,
    /// As much of the record's header as has been read.
    header: [u8; HEADER],
    header_len: usize,
    /// Bytes of the record that are to come.
    left: usize,
    /// `ServerHello` was seen: everything else is encrypted.
    hello_seen: bool,
}

const HEADER: usize = 5;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

/// The kind of what is inside, and the tag of the cipher (RFC 8446 section 5.2).
const SMALLEST_ENCRYPTED: usize = 1 + 16;

impl<'a, T> Records<'a, T> {
    pub(super) const fn new(socket: Half<'a, T>) -> Self {
        Self { socket, header: [0; HEADER], header_len: 0, left: 0, hello_seen: false }
    }

    /// Looks at bytes that were read; `false`: they are not to be used.
    fn look(&mut self, mut bytes: &[u8]) -> bool {
        while let Some((&first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let skipped = self.left.min(bytes.len());
                self.left -= skipped;
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            if let Some(byte) = self.header.get_mut(self.header_len) {
                *byte = first;
                self.header_len += 1;
            }
            bytes = rest;
            if self.header_len == HEADER {
                let [kind, _, _, high, low] = self.header;
                (self.header_len, self.left) = (0, usize::from(u16::from_be_bytes([high, low])));
                match kind {
                    HANDSHAKE if self.hello_seen => return false,
                    HANDSHAKE => self.hello_seen = true,
                    APPLICATION_DATA if self.left < SMALLEST_ENCRYPTED => return false,
                    _ => {}
                }
            }
        }
        true
    }
}

impl<T> Clone for Records<'_, T> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<T> ErrorType for Records<'_, T> {
    type Error = ErrorKind;
}

impl<T: Read> Read for Records<'_, T> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        let len = self.socket.read(buf).await.map_err(|error| error.kind())?;
        if self.look(buf.get(..len).unwrap_or_default()) { Ok(len) } else { Err(ErrorKind::InvalidData) }
    }
}

impl<T: Write> Write for Records<'_, T> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
        self.socket.write(buf).await.map_err(|error| error.kind())
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        self.socket.flush().await.map_err(|error| error.kind())
    }
}
