//! A broker that holds nothing: what it gets it compares, what it sends it makes.

use core::sync::atomic::{AtomicU64, Ordering};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, mpsc};

use mqtt_std::{ProtocolVersion, QoS};

/// Bytes that are the same each time, and not at each place.
#[derive(Default)]
pub(crate) struct Pattern {
    at: usize,
}

/// No power of two.
const PERIOD: usize = 65_521;

static BYTES: [u8; PERIOD] = {
    let mut bytes = [0; PERIOD];
    let mut at = 0;
    while at < PERIOD {
        bytes[at] = (at ^ at >> 8) as u8;
        at += 1;
    }
    bytes
};

impl Pattern {
    /// The next bytes, in pieces.
    pub(crate) fn next(&mut self, len: usize, mut piece: impl FnMut(&[u8])) {
        let mut left = len;
        while left > 0 {
            let rest = &BYTES[self.at..];
            let rest = &rest[..rest.len().min(left)];
            piece(rest);
            left -= rest.len();
            self.at = (self.at + rest.len()) % PERIOD;
        }
    }
}

/// Takes one client.
pub(crate) struct Far {
    port: u16,
    version: ProtocolVersion,
    received: Arc<AtomicU64>,
    orders: mpsc::Sender<(QoS, usize)>,
    answers: Mutex<mpsc::Receiver<()>>,
}

struct Connection {
    stream: TcpStream,
    version: ProtocolVersion,
    received: Arc<AtomicU64>,
    answers: mpsc::Sender<()>,
    block: Vec<u8>,
}

/// What follows on a SUBSCRIBE is sent by a thread of its own.
type Orders = mpsc::Receiver<(QoS, usize)>;

impl Far {
    pub(crate) fn start(version: ProtocolVersion) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let received = Arc::new(AtomicU64::new(0));
        let (orders, taken) = mpsc::channel();
        let (answers, given) = mpsc::channel();
        let counter = Arc::clone(&received);
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            stream.set_nodelay(true).unwrap();
            let block = vec![0; 64 * 1024];
            Connection { stream, version, received: counter, answers, block }.run(taken);
        });
        Self { port, version, received, orders, answers: Mutex::new(given) }
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    pub(crate) const fn version(&self) -> ProtocolVersion {
        self.version
    }

    /// Bytes of payloads, which were as they should be.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::SeqCst)
    }

    /// Sends a message of so many bytes.
    pub(crate) fn send(&self, qos: QoS, length: usize) {
        self.orders.send((qos, length)).unwrap();
    }

    /// Waits until it was answered; at QoS 0 until it was sent.
    pub(crate) fn answered(&self) {
        self.answers.lock().unwrap().recv().unwrap();
    }
}

impl Connection {
    fn run(mut self, orders: Orders) {
        let mut orders = Some(orders);
        while let Some((first, len)) = self.header() {
            match first >> 4 {
                3 => self.publish(first, len),
                kind => {
                    let body = self.body(len);
                    let id = [body.first().copied().unwrap_or(0), body.get(1).copied().unwrap_or(0)];
                    match kind {
                        1 => self.write(if self.version == ProtocolVersion::V5_0 {
                            &[0x20, 3, 0, 0, 0]
                        } else {
                            &[0x20, 2, 0, 0]
                        }),
                        8 => {
                            let suback = match self.version {
                                ProtocolVersion::V5_0 => vec![0x90, 4, id[0], id[1], 0, 2],
                                _ => vec![0x90, 3, id[0], id[1], 2],
                            };
                            self.write(&suback);
                            let (stream, answers) = (self.stream.try_clone().unwrap(), self.answers.clone());
                            let (orders, version) = (orders.take().unwrap(), self.version);
                            std::thread::spawn(move || send(stream, version, &orders, &answers));
                        }
                        6 => self.write(&[0x70, 2, id[0], id[1]]),
                        5 => self.write(&[0x62, 2, id[0], id[1]]),
                        4 | 7 => self.answers.send(()).unwrap_or_default(),
                        12 => self.write(&[0xd0, 0]),
                        _ => return,
                    }
                }
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    fn header(&mut self) -> Option<(u8, usize)> {
        let mut byte = [0];
        self.stream.read_exact(&mut byte).ok()?;
        let first = byte[0];
        let (mut len, mut shift) = (0, 0);
        loop {
            self.stream.read_exact(&mut byte).ok()?;
            len |= usize::from(byte[0] & 0x7f) << shift;
            shift += 7;
            if byte[0] < 0x80 {
                return Some((first, len));
            }
        }
    }

    fn body(&mut self, len: usize) -> Vec<u8> {
        let mut body = vec![0; len];
        self.stream.read_exact(&mut body).unwrap();
        body
    }

    /// To the topic `t`, without properties.
    fn publish(&mut self, first: u8, len: usize) {
        let qos = first >> 1 & 3;
        let properties = usize::from(self.version == ProtocolVersion::V5_0);
        let head = self.body(3 + if qos > 0 { 2 } else { 0 } + properties);
        assert_eq!(head[..3], *b"\0\x01t");
        let (mut left, mut pattern) = (len - head.len(), Pattern::default());
        let length = left as u64;
        while left > 0 {
            let room = left.min(self.block.len());
            let read = self.stream.read(&mut self.block[..room]).unwrap();
            assert!(read > 0, "{left} bytes are missing");
            let mut rest = &self.block[..read];
            pattern.next(read, |expected| {
                assert!(rest.starts_with(expected), "{left} bytes before the end");
                rest = &rest[expected.len()..];
            });
            left -= read;
        }
        self.received.fetch_add(length, Ordering::SeqCst);
        match qos {
            1 => self.write(&[0x40, 2, head[3], head[4]]),
            2 => self.write(&[0x50, 2, head[3], head[4]]),
            _ => {}
        }
    }
}

fn send(mut stream: TcpStream, version: ProtocolVersion, orders: &Orders, answers: &mpsc::Sender<()>) {
    while let Ok((qos, length)) = orders.recv() {
        let mut head = b"\0\x01t".to_vec();
        if qos != QoS::AtMostOnce {
            head.extend([0, 7]);
        }
        if version == ProtocolVersion::V5_0 {
            head.push(0);
        }
        let mut header = vec![0x30 | (qos as u8) << 1];
        let mut len = head.len() + length;
        loop {
            header.push((len & 0x7f) as u8 | if len > 0x7f { 0x80 } else { 0 });
            len >>= 7;
            if len == 0 {
                break;
            }
        }
        header.extend(head);
        stream.write_all(&header).unwrap();
        Pattern::default().next(length, |piece| stream.write_all(piece).unwrap());
        if qos == QoS::AtMostOnce {
            answers.send(()).unwrap();
        }
    }
}
