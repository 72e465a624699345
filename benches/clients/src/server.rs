//! The server: counts, acknowledges, floods and echoes, with as little work as can be.
//!
//! A thread a connection, blocking. What it is asked for is in the topics: it floods who subscribes to
//! `flood/QOS/PAYLOAD/COUNT`, sends back what is published to `echo` at QoS 0, and counts and acknowledges the rest. MQTT 5.0 only.

use std::io::{self, BufRead, Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::measure::{ECHO, WINDOW};

pub fn serve() -> Result<(), String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(|error| error.to_string())?;
    println!("{}", listener.local_addr().map_err(|error| error.to_string())?.port());
    // It ends with whoever started it.
    std::thread::spawn(|| {
        let _ = io::stdin().lock().read_until(0, &mut Vec::new());
        std::process::exit(0);
    });
    for stream in listener.incoming() {
        let stream = stream.map_err(|error| error.to_string())?;
        let thread = std::thread::Builder::new().stack_size(64 * 1024);
        thread.spawn(|| drop(Connection::new(stream).run())).map_err(|error| error.to_string())?;
    }
    Ok(())
}

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    /// Bytes of `input` that are filled.
    filled: usize,
    output: Vec<u8>,
    /// What is left of a PUBLISH that is only counted, and its acknowledgement.
    skip: usize,
    acknowledgement: Option<[u8; 4]>,
    flood: Option<Flood>,
    receive_maximum: usize,
}

/// Messages that are still to be sent.
struct Flood {
    qos: u8,
    packet: Vec<u8>,
    /// Where the Packet Identifier is.
    identifier_at: usize,
    next: u16,
    left: usize,
    in_flight: usize,
}

const SMALL: usize = 4 * 1024;
const LARGE: usize = 256 * 1024;

impl Connection {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            input: vec![0; SMALL],
            filled: 0,
            output: Vec::new(),
            skip: 0,
            acknowledgement: None,
            flood: None,
            receive_maximum: WINDOW,
        }
    }

    fn run(mut self) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        loop {
            if self.filled == self.input.len() && self.input.len() < LARGE {
                self.input.resize(LARGE, 0);
            }
            let count = self.stream.read(&mut self.input[self.filled..])?;
            if count == 0 {
                return Ok(());
            }
            self.filled += count;
            let used = self.take()?;
            self.input.copy_within(used..self.filled, 0);
            self.filled -= used;
            self.refill();
            if !self.output.is_empty() {
                self.stream.write_all(&self.output)?;
                self.output.clear();
            }
            self.flood_at_most_once()?;
        }
    }

    /// Takes packets out of the input; returns how many bytes they were.
    fn take(&mut self) -> io::Result<usize> {
        let mut at = 0;
        loop {
            let skipped = self.skip.min(self.filled - at);
            at += skipped;
            self.skip -= skipped;
            if self.skip > 0 {
                return Ok(at);
            }
            self.output.extend(self.acknowledgement.take().into_iter().flatten());
            let Some((header, len)) = remaining_length(&self.input[at..self.filled]) else { return Ok(at) };
            let body = at + header;
            let end = body + len;
            let first = self.input[at];
            if first >> 4 == 3 && end > self.filled && self.input.len() >= SMALL && len > SMALL / 2 {
                // The payload of a large message is not kept.
                let topic_len = usize::from(self.input.get(body).copied().unwrap_or(0)) << 8
                    | usize::from(self.input.get(body + 1).copied().unwrap_or(0));
                if self.filled < body + 2 + topic_len + 2 {
                    return Ok(at);
                }
                let id = body + 2 + topic_len;
                if first & 6 == 0 && end - at <= LARGE && &self.input[body + 2..id] == ECHO.as_bytes() {
                    return Ok(at); // all of it is to be sent back
                }
                self.acknowledgement = acknowledgement(first, &self.input[id..id + 2]);
                self.skip = end - at;
                continue;
            }
            if end > self.filled {
                return Ok(at);
            }
            self.packet(at, body, end)?;
            at = end;
        }
    }

    fn packet(&mut self, start: usize, body: usize, end: usize) -> io::Result<()> {
        let (first, packet) = (self.input[start], &self.input[body..end]);
        match first >> 4 {
            1 => {
                self.receive_maximum = receive_maximum(packet).unwrap_or(WINDOW).min(WINDOW);
                let window = (WINDOW as u16).to_be_bytes();
                self.output.extend([0x20, 6, 0, 0, 3, 0x21, window[0], window[1]]);
            }
            3 => {
                let topic_len = usize::from(packet[0]) << 8 | usize::from(packet[1]);
                if first & 6 == 0 {
                    if &packet[2..2 + topic_len] == ECHO.as_bytes() {
                        self.output.extend_from_slice(&self.input[start..end]);
                    }
                } else {
                    let acknowledgement = acknowledgement(first, &packet[2 + topic_len..4 + topic_len]);
                    self.output.extend(acknowledgement.into_iter().flatten());
                }
            }
            4 | 7 => {
                if let Some(flood) = &mut self.flood {
                    flood.in_flight = flood.in_flight.saturating_sub(1);
                }
            }
            5 => self.output.extend([0x62, 2, packet[0], packet[1]]),
            6 => self.output.extend([0x70, 2, packet[0], packet[1]]),
            8 => {
                // One filter a packet; behind the identifier come the properties.
                let (header, properties) = variable_byte_integer(&packet[2..]).unwrap_or((1, 0));
                let filter = 2 + header + properties;
                let filter_len = usize::from(packet[filter]) << 8 | usize::from(packet[filter + 1]);
                let text = String::from_utf8_lossy(&packet[filter + 2..filter + 2 + filter_len]).into_owned();
                let qos = packet[filter + 2 + filter_len] & 3;
                self.output.extend([0x90, 4, packet[0], packet[1], 0, qos]);
                self.flood = Flood::new(&text).or(self.flood.take());
            }
            10 => self.output.extend([0xb0, 4, packet[0], packet[1], 0, 0]),
            12 => self.output.extend([0xd0, 0]),
            14 => return Err(io::ErrorKind::ConnectionAborted.into()),
            _ => {}
        }
        Ok(())
    }

    /// As many messages of a flood at QoS 1 and 2 as the client takes at once.
    fn refill(&mut self) {
        let Some(flood) = self.flood.as_mut().filter(|flood| flood.qos > 0) else { return };
        while flood.left > 0 && flood.in_flight < self.receive_maximum && self.output.len() < LARGE {
            let id = flood.next.to_be_bytes();
            flood.packet[flood.identifier_at..flood.identifier_at + 2].copy_from_slice(&id);
            self.output.extend_from_slice(&flood.packet);
            flood.next = flood.next.checked_add(1).unwrap_or(1);
            flood.left -= 1;
            flood.in_flight += 1;
        }
    }

    fn flood_at_most_once(&mut self) -> io::Result<()> {
        let Some(flood) = self.flood.take_if(|flood| flood.qos == 0) else { return Ok(()) };
        let at_once = (LARGE / flood.packet.len()).max(1);
        let block = flood.packet.repeat(at_once);
        let mut left = flood.left;
        while left > 0 {
            let count = left.min(at_once);
            self.stream.write_all(&block[..count * flood.packet.len()])?;
            left -= count;
        }
        Ok(())
    }
}

impl Flood {
    fn new(filter: &str) -> Option<Self> {
        let mut parts = filter.strip_prefix("flood/")?.split('/').map(str::parse);
        let (qos, payload, count) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
        let qos = u8::try_from(qos).ok()?;
        let (packet, identifier_at) = publish(filter, qos, 1, payload);
        Some(Self { qos, packet, identifier_at, next: 1, left: count, in_flight: 0 })
    }
}

/// A PUBLISH, and where its Packet Identifier is.
pub fn publish(topic: &str, qos: u8, identifier: u16, payload: usize) -> (Vec<u8>, usize) {
    let mut packet = vec![0x30 | qos << 1];
    let mut rest = 2 + topic.len() + if qos > 0 { 2 } else { 0 } + 1 + payload;
    loop {
        let more = rest > 127;
        packet.push(rest as u8 & 0x7f | if more { 0x80 } else { 0 });
        rest >>= 7;
        if !more {
            break;
        }
    }
    packet.extend((topic.len() as u16).to_be_bytes());
    packet.extend(topic.as_bytes());
    let identifier_at = packet.len();
    if qos > 0 {
        packet.extend(identifier.to_be_bytes());
    }
    packet.push(0);
    packet.resize(packet.len() + payload, b'x');
    (packet, identifier_at)
}

fn acknowledgement(first: u8, identifier: &[u8]) -> Option<[u8; 4]> {
    match first & 6 {
        2 => Some([0x40, 2, identifier[0], identifier[1]]),
        4 => Some([0x50, 2, identifier[0], identifier[1]]),
        _ => None,
    }
}

/// The length of the fixed header, and what it says is behind it.
fn remaining_length(bytes: &[u8]) -> Option<(usize, usize)> {
    let (len, value) = variable_byte_integer(bytes.get(1..)?)?;
    Some((1 + len, value))
}

fn variable_byte_integer(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((index + 1, value));
        }
    }
    None
}

/// The Receive Maximum of a CONNECT, which is behind name, version, flags and Keep Alive.
fn receive_maximum(packet: &[u8]) -> Option<usize> {
    let (header, len) = variable_byte_integer(packet.get(10..)?)?;
    let mut properties = packet.get(10 + header..10 + header + len)?;
    while let [identifier, rest @ ..] = properties {
        let skip = match identifier {
            0x21 => return Some(usize::from(*rest.first()?) << 8 | usize::from(*rest.get(1)?)),
            0x17 | 0x19 => 1,
            0x22 => 2,
            0x11 | 0x27 => 4,
            _ => return None,
        };
        properties = rest.get(skip..)?;
    }
    None
}
