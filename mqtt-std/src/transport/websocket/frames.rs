//! A stream of bytes in binary frames.
//!
//! A payload passes through in pieces as large as the reader's buffer, so a frame may be as long as it likes: what a broker puts
//! into one is a whole message. The heads of frames are read and written by `tungstenite`.

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io::{self, Cursor, IoSlice};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

use crate::said::Said;
use crate::transport::{TransportError, TransportFault};

/// A WebSocket as a stream of bytes.
pub(crate) struct WebSocket<S> {
    stream: S,
    /// What was read of heads and control frames, and of the payload behind them.
    input: BytesMut,
    /// So much of the payload of the current data frame is still to come.
    payload_left: u64,
    /// The message goes on in a further frame.
    unfinished: bool,
    /// A frame on its way out, as far as it is not written.
    output: BytesMut,
    /// What the latest ping said, to be said again.
    pong: Option<BytesMut>,
    /// The server has closed.
    ended: bool,
    close: Close,
}

/// Whether our own frame that closes is sent.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Close {
    No,
    Due(u16),
    Written,
}

/// Heads are read so many bytes at a time, with what is behind them.
const READ_SIZE: usize = 16 * 1024;

/// After so many reads without a payload it is the turn of others.
const READS_AT_ONCE: u32 = 2;

/// A frame takes at most so many bytes of payload: they are copied, since they are masked.
const WRITE_SIZE: usize = 64 * 1024;

/// A larger buffer is given back when it is empty.
const KEPT_SIZE: usize = 8 * 1024;

/// Of a control frame (RFC 6455 §5.5).
const MAXIMUM_CONTROL: u64 = 125;

/// Normal closure.
const NORMAL: u16 = 1000;

/// The server breaks the rules.
const PROTOCOL_ERROR: u16 = 1002;

/// A type of data that is not taken.
const UNSUPPORTED: u16 = 1003;

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// Behind the handshake; `input` was read with its answer.
    pub(super) fn new(stream: S, input: BytesMut) -> Self {
        Self {
            stream,
            input,
            payload_left: 0,
            unfinished: false,
            output: BytesMut::new(),
            pong: None,
            ended: false,
            close: Close::No,
        }
    }

    /// Reads to the next piece of payload; `false`: the server has closed.
    fn poll_payload(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut reads = 0_u32;
        loop {
            if self.ended {
                return Poll::Ready(Ok(false));
            }
            if self.payload_left > 0 {
                return Poll::Ready(Ok(true));
            }
            match self.take_frame() {
                Ok(true) => {}
                Ok(false) => {
                    if reads == READS_AT_ONCE {
                        // Frames without payload may come for ever: others have their turn.
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    reads = reads.saturating_add(1);
                    let start = self.input.len();
                    self.input.resize(start.saturating_add(READ_SIZE), 0);
                    let mut space = ReadBuf::new(self.input.get_mut(start..).unwrap_or(&mut []));
                    let polled = Pin::new(&mut self.stream).poll_read(cx, &mut space);
                    let filled = space.filled().len();
                    self.input.truncate(start.saturating_add(filled));
                    if self.input.is_empty() {
                        // A client that waits needs no memory for that.
                        self.input = BytesMut::new();
                    }
                    ready!(polled)?;
                    if filled == 0 {
                        self.ended = true;
                    }
                }
                Err((code, text)) => {
                    // What can be said before the connection ends is said.
                    self.close = Close::Due(code);
                    let _ = self.poll_drain(cx);
                    return Poll::Ready(Err(TransportError::new(TransportFault::WebSocket, text).into()));
                }
            }
        }
    }

    /// Takes the head of a data frame, or a whole control frame; `false`: more is to be read for that.
    fn take_frame(&mut self) -> Result<bool, (u16, String)> {
        let broken = |text: &str| (PROTOCOL_ERROR, format!("WebSocket: {text}"));
        let mut cursor = Cursor::new(&self.input);
        let Some((head, len)) = FrameHeader::parse(&mut cursor).map_err(|error| broken(&error.to_string()))? else {
            return Ok(false);
        };
        let head_len = usize::try_from(cursor.position()).unwrap_or(usize::MAX);
        if head.mask.is_some() {
            return Err(broken("a frame of the server is masked"));
        }
        if head.rsv1 || head.rsv2 || head.rsv3 {
            return Err(broken("a frame has a meaning that was not agreed on"));
        }
        match head.opcode {
            OpCode::Data(data) => {
                match (data, self.unfinished) {
                    (Data::Binary, false) | (Data::Continue, true) => {}
                    (Data::Binary, true) => return Err(broken("a message begins inside of another one")),
                    (Data::Continue, false) => return Err(broken("a message goes on that has not begun")),
                    // [MQTT-6.0.0-1]
                    _ => return Err((UNSUPPORTED, "WebSocket: a data frame that is not binary".to_owned())),
                }
                self.unfinished = !head.is_final;
                self.payload_left = len;
                self.input.advance(head_len);
                Ok(true)
            }
            OpCode::Control(control) => {
                if !head.is_final || len > MAXIMUM_CONTROL {
                    return Err(broken("a control frame is too long or in parts"));
                }
                let len = usize::try_from(len).unwrap_or(usize::MAX);
                if self.input.len().saturating_sub(head_len) < len {
                    return Ok(false);
                }
                self.input.advance(head_len);
                let payload = self.input.split_to(len);
                self.control(control, payload)?;
                Ok(true)
            }
        }
    }

    fn control(&mut self, control: Control, mut payload: BytesMut) -> Result<(), (u16, String)> {
        match control {
            Control::Ping => self.pong = Some(payload),
            Control::Pong => {}
            Control::Close => {
                self.ended = true;
                let code = if payload.len() >= 2 { payload.get_u16() } else { NORMAL };
                // Some codes may not be sent, §7.4.
                let answer = if CloseCode::from(code).is_allowed() { code } else { PROTOCOL_ERROR };
                if self.close == Close::No {
                    self.close = Close::Due(answer);
                }
                // Going away is what a server does that is restarted.
                if code != NORMAL && code != NORMAL + 1 {
                    let reason = String::from_utf8_lossy(&payload);
                    return Err((answer, format!("the server closed the WebSocket: {code} {}", Said(&reason))));
                }
            }
            Control::Reserved(_) => return Err((PROTOCOL_ERROR, "WebSocket: an unknown control frame".to_owned())),
        }
        Ok(())
    }

    /// Writes the frame that is on its way, then those that were waiting for that.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            while !self.output.is_empty() {
                let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.output))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.output.advance(written);
            }
            if self.output.capacity() > KEPT_SIZE {
                self.output = BytesMut::new();
            }
            if let Some(pong) = self.pong.take() {
                self.frame(OpCode::Control(Control::Pong), &[IoSlice::new(&pong)], pong.len());
            } else if let Close::Due(code) = self.close {
                self.close = Close::Written;
                self.frame(OpCode::Control(Control::Close), &[IoSlice::new(&code.to_be_bytes())], 2);
            } else {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Puts a frame with the first `len` bytes of these together into the output.
    fn frame(&mut self, opcode: OpCode, parts: &[IoSlice<'_>], len: usize) {
        let [a, b, c, d, ..] = crate::random::seed().to_ne_bytes();
        let mask = [a, b, c, d];
        let head = FrameHeader { opcode, mask: Some(mask), ..FrameHeader::default() };
        let mut bytes = Vec::with_capacity(14);
        // Into memory it does not fail.
        let _ = head.format(u64::try_from(len).unwrap_or(u64::MAX), &mut bytes);
        self.output.reserve(bytes.len().saturating_add(len));
        self.output.extend_from_slice(&bytes);
        let start = self.output.len();
        let mut left = len;
        for part in parts {
            let part = part.get(..left.min(part.len())).unwrap_or(&[]);
            self.output.extend_from_slice(part);
            left = left.saturating_sub(part.len());
        }
        apply(mask, self.output.get_mut(start..).unwrap_or(&mut []));
    }
}

/// Masks bytes, §5.3: eight at a time, as far as that goes.
fn apply(mask: [u8; 4], bytes: &mut [u8]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut chunks = bytes.chunks_exact_mut(8);
    for chunk in &mut chunks {
        if let Ok(eight) = <[u8; 8]>::try_from(&*chunk) {
            chunk.copy_from_slice(&(u64::from_ne_bytes(eight) ^ wide).to_ne_bytes());
        }
    }
    for (byte, mask) in chunks.into_remainder().iter_mut().zip(mask.into_iter().cycle()) {
        *byte ^= mask;
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocket<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let payload = this.poll_payload(cx)?;
        if this.pong.is_some() || matches!(this.close, Close::Due(_)) {
            // Where it cannot be written now, the next write or flush does.
            let _ = this.poll_drain(cx)?;
        }
        if !ready!(payload) {
            return Poll::Ready(Ok(()));
        }
        let wanted = usize::try_from(this.payload_left).unwrap_or(usize::MAX).min(buffer.remaining());
        let taken = if this.input.is_empty() {
            let mut part = ReadBuf::new(buffer.initialize_unfilled_to(wanted));
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut part))?;
            let taken = part.filled().len();
            if taken == 0 {
                this.ended = true;
            }
            buffer.advance(taken);
            taken
        } else {
            let part = this.input.split_to(wanted.min(this.input.len()));
            buffer.put_slice(&part);
            part.len()
        };
        this.payload_left = this.payload_left.saturating_sub(u64::try_from(taken).unwrap_or(u64::MAX));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocket<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        if this.close != Close::No {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let len = parts.iter().map(|part| part.len()).fold(0, usize::saturating_add).min(WRITE_SIZE);
        if len > 0 {
            this.frame(OpCode::Data(Data::Binary), parts, len);
            // What does not leave now leaves with the next write or flush.
            let _ = this.poll_drain(cx)?;
        }
        Poll::Ready(Ok(len))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.close == Close::No {
            this.close = Close::Due(NORMAL);
        }
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    fn pair(capacity: usize) -> (WebSocket<DuplexStream>, DuplexStream) {
        let (near, far) = tokio::io::duplex(capacity);
        (WebSocket::new(near, BytesMut::new()), far)
    }

    fn run(test: impl AsyncFnOnce()) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(test());
    }

    /// A frame's first byte and payload, from the client.
    async fn receive(far: &mut DuplexStream) -> (u8, Vec<u8>) {
        let (first, second) = (far.read_u8().await.unwrap(), far.read_u8().await.unwrap());
        assert!((0x80..0x80 + 126).contains(&second), "it is masked and short");
        let mask = far.read_u32().await.unwrap().to_be_bytes();
        let mut payload = vec![0; usize::from(second - 0x80)];
        far.read_exact(&mut payload).await.unwrap();
        // One byte at a time, unlike the client.
        payload.iter_mut().enumerate().for_each(|(at, byte)| *byte ^= mask[at % 4]);
        (first, payload)
    }

    #[test]
    fn the_parts_of_a_vectored_write_are_one_frame() {
        run(async || {
            let (mut near, mut far) = pair(1024);
            assert!(near.is_write_vectored());
            let parts = [&b""[..], b"a head of odd length", b"", b" and what is behind it"];
            let written = near.write_vectored(&parts.map(IoSlice::new)).await.unwrap();
            assert_eq!(written, parts.concat().len());
            near.flush().await.unwrap();
            assert_eq!(receive(&mut far).await, (0x82, parts.concat()));
            assert_eq!(near.write(b"").await.unwrap(), 0);
            near.write_all(b"x").await.unwrap();
            assert_eq!(receive(&mut far).await, (0x82, b"x".to_vec()));
        });
    }

    #[test]
    fn a_frame_that_does_not_fit_at_once_is_finished_before_the_next_one() {
        run(async || {
            let (mut near, mut far) = pair(5);
            let write = async {
                near.write_all(b"first").await.unwrap();
                near.write_all(b"second").await.unwrap();
                near.shutdown().await.unwrap();
                assert!(near.write(b"third").await.is_err());
            };
            let read = async {
                assert_eq!(receive(&mut far).await, (0x82, b"first".to_vec()));
                assert_eq!(receive(&mut far).await, (0x82, b"second".to_vec()));
                assert_eq!(receive(&mut far).await, (0x88, 1000_u16.to_be_bytes().to_vec()));
                assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
            };
            tokio::join!(write, read);
        });
    }

    #[test]
    fn frames_of_any_length_need_little_memory() {
        run(async || {
            let (mut near, mut far) = pair(1 << 16);
            let len = 20 << 20;
            let server = async {
                let head = [&[0x82, 127][..], &u64::try_from(len).unwrap().to_be_bytes()].concat();
                far.write_all(&head).await.unwrap();
                for _ in 0..len >> 16 {
                    far.write_all(&[7; 1 << 16]).await.unwrap();
                }
                let mut sink = vec![0; 1 << 16];
                while far.read(&mut sink).await.unwrap() > 0 {}
            };
            let client = async {
                let mut left = len;
                let mut buffer = vec![0; 1 << 16];
                while left > 0 {
                    let read = near.read(&mut buffer).await.unwrap();
                    assert!(read > 0 && buffer[..read].iter().all(|byte| *byte == 7));
                    assert!(near.input.capacity() <= 2 * READ_SIZE, "{}", near.input.capacity());
                    left -= read;
                }
                for _ in 0..100 {
                    near.write_all(&buffer).await.unwrap();
                    assert!(near.output.capacity() <= 2 * WRITE_SIZE, "{}", near.output.capacity());
                }
                near.flush().await.unwrap();
                assert!(near.output.capacity() <= KEPT_SIZE, "{}", near.output.capacity());
                drop(near);
            };
            tokio::join!(server, client);
        });
    }

    #[test]
    fn many_pings_are_answered_once() {
        run(async || {
            let (mut near, mut far) = pair(1 << 16);
            for number in 0..100 {
                far.write_all(&[0x89, 1, number]).await.unwrap();
            }
            far.write_all(&[0x82, 1, b'x']).await.unwrap();
            assert_eq!(near.read_u8().await.unwrap(), b'x');
            assert_eq!(receive(&mut far).await, (0x8a, vec![99]));
        });
    }

    #[test]
    fn the_end_of_the_stream_is_the_end() {
        run(async || {
            for bytes in [&[][..], &[0x82], &[0x82, 5, b'x']] {
                let (mut near, mut far) = pair(64);
                far.write_all(bytes).await.unwrap();
                drop(far);
                let mut read = Vec::new();
                assert_eq!(near.read_to_end(&mut read).await.unwrap(), read.len());
                assert_eq!(near.read(&mut [0]).await.unwrap(), 0);
            }
        });
    }

    #[test]
    fn no_bytes_are_too_odd() {
        run(async || {
            let mut state = 1_u32;
            for _ in 0..2_000 {
                let (mut near, mut far) = pair(1 << 12);
                let bytes: Vec<u8> = (0..64)
                    .map(|_| {
                        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        // Heads that mean something are among them often enough.
                        let [high, low, ..] = state.to_be_bytes();
                        if low < 128 {
                            [0x82, 0x02, 0x00, 0x80, 0x89, 0x88, 0x01, 0x7e][usize::from(high % 8)]
                        } else {
                            high
                        }
                    })
                    .collect();
                far.write_all(&bytes).await.unwrap();
                far.shutdown().await.unwrap();
                let mut read = Vec::new();
                // Payload, and then the end or an error, after which there is no more.
                let result = near.read_to_end(&mut read).await;
                assert!(read.len() < bytes.len());
                assert!(result.is_err() || near.read(&mut [0]).await.unwrap() == 0);
            }
        });
    }

    #[test]
    fn masks_are_applied_to_every_length() {
        for len in 0..40 {
            let mut bytes = vec![0; len];
            apply([1, 2, 3, 4], &mut bytes);
            let expected: Vec<_> = [1, 2, 3, 4].into_iter().cycle().take(len).collect();
            assert_eq!(bytes, expected);
        }
    }
}
