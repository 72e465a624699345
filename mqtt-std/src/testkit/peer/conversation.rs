//! One connection of a client, and what is said on it.

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::io::{self, ErrorKind};

use bytes::{Bytes, BytesMut};
use mqtt_core::{
    Ack, AckKind, Connack, Delivery, Framing, Input, Packet, PacketIdentifier, Properties, ProtocolVersion, Publish,
    QoS, ReasonCode, ReasonCodes, Sender, Suback, TopicName, Unsuback,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use super::{Expect, Failure};
use crate::describe::describe;
use crate::testkit::LinkEnd;

/// One connection of a client with a [`Peer`](super::Peer): the test receives what the client sends, and answers.
///
/// Dropped, the connection is closed.
#[derive(Debug)]
pub struct Conversation {
    stream: Stream,
    version: ProtocolVersion,
    framing: Framing,
    buffer: BytesMut,
    /// The latest packet, to be answered.
    latest: Option<Received>,
    transcript: Vec<String>,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Memory(LinkEnd),
}

/// A packet of the client, as it came.
#[derive(Clone, Eq, PartialEq)]
pub struct Received {
    version: ProtocolVersion,
    bytes: Bytes,
}

/// Lines that are kept for a [`Failure`].
const TRANSCRIPT: usize = 20;

impl Received {
    /// The packet.
    ///
    /// # Errors
    /// None: it was decoded when it came.
    pub fn packet(&self) -> Result<Packet<'_>, Failure> {
        Packet::decode(self.version, Sender::Client, &self.bytes).map_err(|error| Failure::new("a packet", error))
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The Packet Identifier, if it has one.
    #[must_use]
    pub fn packet_identifier(&self) -> Option<PacketIdentifier> {
        match self.packet().ok()? {
            Packet::Publish(publish) => publish.delivery.packet_identifier(),
            Packet::Ack(ack) => Some(ack.packet_identifier),
            Packet::Subscribe(subscribe) => Some(subscribe.packet_identifier),
            Packet::Unsubscribe(unsubscribe) => Some(unsubscribe.packet_identifier),
            _ => None,
        }
    }
}

/// The packet's name, then what is not as usual: `PUBLISH q1 #7 dup t "x"`, `SUBSCRIBE #1 a/+ q1, b q2`.
impl fmt::Display for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.packet() {
            Ok(packet) => f.write_str(&describe(&packet)),
            Err(failure) => failure.fmt(f),
        }
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Received({self})")
    }
}

impl Conversation {
    pub(super) fn over_tcp(stream: TcpStream, version: ProtocolVersion) -> Self {
        Self::new(Stream::Tcp(stream), version)
    }

    pub(super) fn in_memory(end: LinkEnd, version: ProtocolVersion) -> Self {
        Self::new(Stream::Memory(end), version)
    }

    fn new(stream: Stream, version: ProtocolVersion) -> Self {
        let framing = Framing::new(version);
        Self { stream, version, framing, buffer: BytesMut::new(), latest: None, transcript: Vec::new() }
    }

    /// What was said so far: `<` by the client, `>` to it. The latest lines, if they are many.
    #[must_use]
    pub fn transcript(&self) -> &[String] {
        &self.transcript
    }

    fn note(&mut self, line: String) {
        if self.transcript.len() == TRANSCRIPT {
            self.transcript.remove(0);
        }
        self.transcript.push(line);
    }

    fn failure(&self, expected: impl fmt::Display, got: impl fmt::Display) -> Failure {
        Failure::new(expected, got).after(&self.transcript)
    }

    /// Sends a packet.
    ///
    /// Dropped half-way, a part of it may have been sent.
    ///
    /// # Errors
    /// It cannot be said in this version; the connection is lost.
    pub async fn send(&mut self, packet: &Packet<'_>) -> Result<(), Failure> {
        let bytes = self.encode(packet)?;
        self.note(format!("> {}", describe(packet)));
        self.send_bytes(&bytes).await
    }

    /// The bytes of a packet.
    ///
    /// # Errors
    /// It cannot be said in this version.
    pub fn encode(&self, packet: &Packet<'_>) -> Result<Vec<u8>, Failure> {
        encode(self.version, packet)
    }

    /// Sends any bytes.
    ///
    /// Dropped half-way, a part of them may have been sent.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = self.stream.write_all(bytes).await;
        written.map_err(|error| self.failure("to send", error))
    }

    /// Sends as many of these bytes as the connection takes now, and tells how many that is.
    ///
    /// # Errors
    /// The connection is lost.
    pub fn send_some(&mut self, bytes: &[u8]) -> Result<usize, Failure> {
        match Pin::new(&mut self.stream).poll_write(&mut Context::from_waker(Waker::noop()), bytes) {
            Poll::Pending => Ok(0),
            Poll::Ready(sent) => sent.map_err(|error| self.failure("to send", error)),
        }
    }

    /// Sends CONNACK.
    ///
    /// # Errors
    /// As for [`send`](Self::send); likewise for the others.
    pub async fn connack(&mut self, session_present: bool, reason_code: ReasonCode) -> Result<(), Failure> {
        self.send(&Packet::Connack(Connack { session_present, reason_code, properties: Properties::EMPTY })).await
    }

    /// Sends a message; `number` is its Packet Identifier, which is of no account at QoS 0.
    ///
    /// # Errors
    /// As for [`send`](Self::send); a topic that is no Topic Name, a number that is 0.
    pub async fn publish(&mut self, topic: &str, qos: QoS, number: u16, payload: &[u8]) -> Result<(), Failure> {
        let topic = TopicName::new(topic).map_err(|error| self.failure("to send PUBLISH", error))?;
        let identifier = || PacketIdentifier::new(number).ok_or_else(|| self.failure("to send PUBLISH", "number 0"));
        let delivery = match qos {
            QoS::AtMostOnce => Delivery::AtMostOnce,
            QoS::AtLeastOnce => Delivery::AtLeastOnce { packet_identifier: identifier()?, dup: false },
            QoS::ExactlyOnce => Delivery::ExactlyOnce { packet_identifier: identifier()?, dup: false },
        };
        let (topic, properties) = (Some(topic), Properties::EMPTY);
        self.send(&Packet::Publish(Publish { topic, delivery, retain: false, properties, payload })).await
    }

    /// Sends PUBACK, PUBREC, PUBREL or PUBCOMP.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    pub async fn acknowledge(
        &mut self,
        kind: AckKind,
        packet_identifier: PacketIdentifier,
        reason_code: ReasonCode,
    ) -> Result<(), Failure> {
        let properties = Properties::EMPTY;
        self.send(&Packet::Ack(Ack { kind, packet_identifier, reason_code, properties })).await
    }

    /// Answers the latest packet, with success: CONNECT with CONNACK without a session, SUBSCRIBE with what it asks for,
    /// PUBLISH with PUBACK or PUBREC, PUBREC with PUBREL, PUBREL with PUBCOMP, PINGREQ, UNSUBSCRIBE. To others there is no
    /// answer, and nothing is sent.
    ///
    /// # Errors
    /// As for [`send`](Self::send); there was no packet yet.
    pub async fn answer(&mut self) -> Result<(), Failure> {
        self.answer_with(ReasonCode::SUCCESS).await
    }

    /// As [`answer`](Self::answer), with this Reason Code, for every filter if there are several; `SUCCESS` grants to a
    /// SUBSCRIBE what it asks for.
    ///
    /// # Errors
    /// As for [`answer`](Self::answer).
    pub async fn answer_with(&mut self, reason_code: ReasonCode) -> Result<(), Failure> {
        let Some(latest) = self.latest.take() else { return Err(self.failure("a packet to answer", "none yet")) };
        let properties = Properties::EMPTY;
        let ack = |kind, packet_identifier| Packet::Ack(Ack { kind, packet_identifier, reason_code, properties });
        let codes;
        let answer = match latest.packet()? {
            Packet::Connect(_) => Packet::Connack(Connack { session_present: false, reason_code, properties }),
            Packet::Publish(publish) => match publish.delivery {
                Delivery::AtMostOnce => return Ok(()),
                Delivery::AtLeastOnce { packet_identifier, .. } => ack(AckKind::Puback, packet_identifier),
                Delivery::ExactlyOnce { packet_identifier, .. } => ack(AckKind::Pubrec, packet_identifier),
            },
            Packet::Ack(Ack { kind: AckKind::Pubrec, packet_identifier, .. }) => {
                ack(AckKind::Pubrel, packet_identifier)
            }
            Packet::Ack(Ack { kind: AckKind::Pubrel, packet_identifier, .. }) => {
                ack(AckKind::Pubcomp, packet_identifier)
            }
            Packet::Subscribe(subscribe) => {
                let granted =
                    |qos: QoS| if reason_code == ReasonCode::SUCCESS { qos as u8 } else { reason_code.as_u8() };
                codes = subscribe.filters.iter().map(|entry| granted(entry.options.qos)).collect::<Vec<_>>();
                let (packet_identifier, reason_codes) = (subscribe.packet_identifier, ReasonCodes::new(&codes));
                Packet::Suback(Suback { packet_identifier, properties, reason_codes })
            }
            Packet::Unsubscribe(unsubscribe) => {
                let len = if self.version.is_v5() { unsubscribe.filters.len() } else { 0 };
                codes = vec![reason_code.as_u8(); len];
                let (packet_identifier, reason_codes) = (unsubscribe.packet_identifier, ReasonCodes::new(&codes));
                Packet::Unsuback(Unsuback { packet_identifier, properties, reason_codes })
            }
            Packet::Pingreq => Packet::Pingresp,
            _ => return Ok(()),
        };
        self.send(&answer).await
    }

    /// Waits for the next packet; `None`: the client has closed the connection.
    ///
    /// May be dropped: nothing is lost.
    ///
    /// # Errors
    /// The connection is reset, or what came is no packet.
    pub async fn receive(&mut self) -> Result<Option<Received>, Failure> {
        loop {
            if let Some(received) = self.whole_packet()? {
                return Ok(Some(received));
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) => {
                    self.note("< closed".to_owned());
                    return Ok(None);
                }
                Ok(_) => {}
                Err(error) => return Err(self.failure("a packet", describe_error(&error))),
            }
        }
    }

    fn whole_packet(&mut self) -> Result<Option<Received>, Failure> {
        let len = match self.framing.next(&self.buffer, usize::MAX) {
            Ok(None) => return Ok(None),
            Ok(Some((Input::Packet(_), len))) => len,
            Ok(Some(_)) => return Err(self.failure("a whole packet", "a part of one")),
            Err(error) => return Err(self.failure("a packet", error)),
        };
        let received = Received { version: self.version, bytes: self.buffer.split_to(len).freeze() };
        if let Err(failure) = received.packet() {
            return Err(failure.after(&self.transcript));
        }
        self.note(format!("< {received}"));
        self.latest = Some(received.clone());
        Ok(Some(received))
    }

    /// Waits for the next packet, which has to be this.
    ///
    /// # Errors
    /// It is another one, or the connection ends.
    pub async fn expect(&mut self, expect: &Expect) -> Result<Received, Failure> {
        match self.receive().await {
            Ok(Some(received)) if received.packet().is_ok_and(|packet| expect.is_met_by(&packet)) => Ok(received),
            Ok(Some(received)) => Err(self.failure(expect, received)),
            Ok(None) => Err(self.failure(expect, "the end of the connection")),
            Err(failure) => Err(self.failure(expect, failure.got())),
        }
    }

    /// As [`expect`](Self::expect), but PINGREQ is answered by the way, unless it is what is expected.
    ///
    /// # Errors
    /// As for [`expect`](Self::expect).
    pub async fn expect_past_pings(&mut self, expect: &Expect) -> Result<Received, Failure> {
        loop {
            match self.receive().await {
                Ok(Some(received)) if !expect.is_pingreq() && matches!(received.packet(), Ok(Packet::Pingreq)) => {
                    self.send(&Packet::Pingresp).await?;
                }
                Ok(Some(received)) if received.packet().is_ok_and(|packet| expect.is_met_by(&packet)) => {
                    return Ok(received);
                }
                Ok(Some(received)) => return Err(self.failure(expect, received)),
                Ok(None) => return Err(self.failure(expect, "the end of the connection")),
                Err(failure) => return Err(self.failure(expect, failure.got())),
            }
        }
    }

    /// Nothing has come so far. What is still under way is not seen.
    ///
    /// # Errors
    /// Something has.
    pub fn expect_nothing(&mut self) -> Result<(), Failure> {
        let mut bytes = [0; 4096];
        let mut found = ReadBuf::new(&mut bytes);
        match Pin::new(&mut self.stream).poll_read(&mut Context::from_waker(Waker::noop()), &mut found) {
            Poll::Pending => {}
            Poll::Ready(Ok(())) if found.filled().is_empty() => {
                return Err(self.failure("nothing", "the end of the connection"));
            }
            Poll::Ready(Ok(())) => self.buffer.extend_from_slice(found.filled()),
            Poll::Ready(Err(error)) => return Err(self.failure("nothing", describe_error(&error))),
        }
        match self.whole_packet()? {
            Some(received) => Err(self.failure("nothing", received)),
            None if self.buffer.is_empty() => Ok(()),
            None => Err(self.failure("nothing", format_args!("{} bytes of a packet", self.buffer.len()))),
        }
    }

    /// Waits for the client to close the connection, after which nothing more may come.
    ///
    /// # Errors
    /// A packet came, or the connection was reset.
    pub async fn expect_end(&mut self) -> Result<(), Failure> {
        match self.receive().await {
            Ok(None) => Ok(()),
            Ok(Some(received)) => Err(self.failure("the end of the connection", received)),
            Err(failure) => Err(self.failure("the end of the connection", failure.got())),
        }
    }

    /// Waits for some bytes, and does not look at them.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn read_some(&mut self) -> Result<usize, Failure> {
        let read = self.stream.read(&mut [0; 4096]).await;
        read.map_err(|error| self.failure("bytes", describe_error(&error)))
    }

    /// So many bytes, and not one more.
    ///
    /// Dropped half-way, those that were read are lost.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn read_exact(&mut self, count: usize) -> Result<Vec<u8>, Failure> {
        let mut bytes = self.buffer.split_to(count.min(self.buffer.len())).to_vec();
        let buffered = bytes.len();
        bytes.resize(count, 0);
        let read = self.stream.read_exact(bytes.get_mut(buffered..).unwrap_or(&mut [])).await;
        match read {
            Ok(_) => Ok(bytes),
            Err(error) => Err(self.failure(format_args!("{count} bytes"), describe_error(&error))),
        }
    }

    /// Bytes that are here, and no packet yet; nothing if there are none.
    ///
    /// # Errors
    /// The connection is lost, or has ended.
    pub fn read_available(&mut self) -> Result<Vec<u8>, Failure> {
        let mut bytes = core::mem::take(&mut self.buffer).to_vec();
        let mut read = vec![0; 64 * 1024];
        let mut found = ReadBuf::new(&mut read);
        match Pin::new(&mut self.stream).poll_read(&mut Context::from_waker(Waker::noop()), &mut found) {
            Poll::Pending => {}
            Poll::Ready(Ok(())) if found.filled().is_empty() => {
                return Err(self.failure("bytes", "the end of the connection"));
            }
            Poll::Ready(Ok(())) => bytes.extend_from_slice(found.filled()),
            Poll::Ready(Err(error)) => return Err(self.failure("bytes", describe_error(&error))),
        }
        Ok(bytes)
    }

    /// All bytes to the end.
    ///
    /// # Errors
    /// Those of reading.
    pub async fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = core::mem::take(&mut self.buffer).to_vec();
        self.stream.read_to_end(&mut bytes).await?;
        Ok(bytes)
    }

    /// Ends the connection such that the client finds it reset.
    pub fn reset(self) {
        match self.stream {
            #[allow(deprecated)] // it waits for nothing with a linger of 0
            Stream::Tcp(stream) => {
                let _ = stream.set_linger(Some(Duration::ZERO));
            }
            Stream::Memory(end) => end.link().cut(),
        }
    }
}

/// The bytes of a packet from the server.
pub(super) fn encode(version: ProtocolVersion, packet: &Packet<'_>) -> Result<Vec<u8>, Failure> {
    let failure = |error| Failure::new(format_args!("to send {}", describe(packet)), error);
    let mut bytes = vec![0; packet.encoded_len(version, Sender::Server).map_err(failure)?];
    packet.encode(version, Sender::Server, &mut bytes).map_err(failure)?;
    Ok(bytes)
}

fn describe_error(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionReset => "reset".to_owned(),
        _ => error.to_string(),
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Memory(end) => Pin::new(end).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Memory(end) => Pin::new(end).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Memory(end) => Pin::new(end).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Memory(end) => Pin::new(end).poll_shutdown(cx),
        }
    }
}
