//! WebSocket with a server that does what the test says.

use core::time::Duration;

use mqtt_core::ErrorClass;
use mqtt_std::transport::{TransportError, TransportFault};
use mqtt_std::{Cause, Client, Options, QoS, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tungstenite::handshake::derive_accept_key;

use super::support::*;

const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const FINAL: u8 = 0x80;

struct Server {
    listener: TcpListener,
}

/// One connection, behind the request.
struct Link {
    stream: TcpStream,
    request: String,
    /// Payload of data frames that was not looked at.
    bytes: Vec<u8>,
}

impl Server {
    async fn new() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    fn options(&self) -> Options {
        options(&format!("ws://{}/path", self.listener.local_addr().unwrap()))
    }

    async fn accept(&self) -> Link {
        let (mut stream, _) = timeout(PATIENCE, self.listener.accept()).await.expect("nobody comes").unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.unwrap());
        }
        Link { stream, request: String::from_utf8(request).unwrap(), bytes: Vec::new() }
    }

    /// A client that is connected, and its link.
    async fn connected(&self) -> (Client, Link) {
        let connect = tokio::spawn(Client::connect(self.options()));
        let mut link = self.accept().await;
        link.open().await;
        assert_eq!(link.packet().await[0], 0x10);
        link.frame(FINAL | BINARY, CONNACK).await;
        (connect.await.unwrap().unwrap(), link)
    }
}

/// Of 5.0, success.
const CONNACK: &[u8] = &[0x20, 3, 0, 0, 0];

impl Link {
    fn header(&self, name: &str) -> &str {
        let prefix = format!("{name}: ");
        self.request.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_else(|| panic!("{}", self.request))
    }

    fn accept_key(&self) -> String {
        derive_accept_key(self.header("Sec-WebSocket-Key").as_bytes())
    }

    async fn open(&mut self) {
        let accept = self.accept_key();
        self.answer(&format!(
            "101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: mqtt"
        ))
        .await;
    }

    async fn answer(&mut self, head: &str) {
        self.raw(format!("HTTP/1.1 {head}\r\n\r\n").as_bytes()).await;
    }

    async fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    async fn frame(&mut self, first: u8, payload: &[u8]) {
        self.raw(&frame(first, payload)).await;
    }

    /// The client's next frame: its first byte and its payload, which must be masked.
    async fn receive(&mut self) -> (u8, Vec<u8>) {
        timeout(PATIENCE, async {
            let first = self.stream.read_u8().await.unwrap();
            let second = self.stream.read_u8().await.unwrap();
            assert!(second & 0x80 != 0, "it is not masked");
            let len = match second & 0x7f {
                126 => u64::from(self.stream.read_u16().await.unwrap()),
                127 => self.stream.read_u64().await.unwrap(),
                len => u64::from(len),
            };
            let mut mask = [0; 4];
            self.stream.read_exact(&mut mask).await.unwrap();
            let mut payload = vec![0; usize::try_from(len).unwrap()];
            self.stream.read_exact(&mut payload).await.unwrap();
            payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
            (first, payload)
        })
        .await
        .expect("no frame comes")
    }

    /// The client's next packet, of whatever frames; all of them must be binary.
    async fn packet(&mut self) -> Vec<u8> {
        loop {
            let framing = mqtt_core::Framing::new(V5).next(&self.bytes, usize::MAX).unwrap().map(|(_, len)| len);
            if let Some(len) = framing {
                return self.bytes.drain(..len).collect();
            }
            let (first, payload) = self.receive().await;
            assert_eq!(first, FINAL | BINARY, "[v3 v5 MQTT-6.0.0-1]");
            self.bytes.extend(payload);
        }
    }

    async fn expect(&mut self, first: u8, payload: &[u8]) {
        assert_eq!(self.receive().await, (FINAL | first, payload.to_vec()));
    }
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..=125 => bytes.push(len as u8),
        len @ 126..=0xffff => bytes.extend([&[126][..], &(len as u16).to_be_bytes()].concat()),
        len => bytes.extend([&[127][..], &(len as u64).to_be_bytes()].concat()),
    }
    bytes.extend(payload);
    bytes
}

/// PUBLISH at QoS 0 to "t", in 5.0.
fn publish(payload: &[u8]) -> Vec<u8> {
    let mut len = payload.len() + 4;
    let mut bytes = vec![0x30];
    loop {
        let byte = (len % 128) as u8;
        len /= 128;
        bytes.push(if len > 0 { byte | 0x80 } else { byte });
        if len == 0 {
            break;
        }
    }
    [&bytes[..], &[0, 1, b't', 0], payload].concat()
}

/// Waits until the connection fails with the transport.
async fn failed(client: &Client) -> TransportError {
    let waiting = |status: &Status| matches!(status, Status::Waiting { .. });
    let status = timeout(PATIENCE, client.status().wait_for(waiting)).await.expect("it stays").unwrap().clone();
    let Status::Waiting { error: Cause::Transport(error), .. } = status else { panic!("{status:?}") };
    error
}

#[test]
fn the_request_says_what_it_must_and_what_it_shall() {
    run(async || {
        let server = Server::new().await;
        let address = server.listener.local_addr().unwrap();
        let options =
            options(&format!("ws://{address}?token=t%20k")).websocket_header("Authorization", "Bearer s3cret");
        assert!(!format!("{options:?}").contains("s3cret") && !format!("{options:?}").contains("t%20k"), "{options:?}");
        let _connect = tokio::spawn(Client::connect(options));
        let link = server.accept().await;
        assert!(link.request.starts_with("GET /mqtt?token=t%20k HTTP/1.1\r\n"), "{}", link.request);
        // [v3 v5 MQTT-6.0.0-3]
        for (name, value) in [
            ("Sec-WebSocket-Protocol", "mqtt"),
            ("Sec-WebSocket-Version", "13"),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Authorization", "Bearer s3cret"),
            ("Host", &address.to_string()),
        ] {
            assert_eq!(link.header(name), value, "{name}");
        }
        assert_eq!(link.header("Sec-WebSocket-Key").len(), 24);
    });
}

#[test]
fn a_header_that_is_none_is_refused_before_anything_is_sent() {
    run(async || {
        let server = Server::new().await;
        for (name, value) in
            [("a b", "c"), ("", "c"), ("a", "b\r\nc: d"), ("host", "other"), ("sec-websocket-key", "x")]
        {
            let options = server.options().websocket_header(name, value);
            assert_fails(options, TransportFault::Settings, "header field").await;
        }
    });
}

#[test]
fn an_answer_that_is_none_is_refused() {
    run(async || {
        let server = Server::new().await;
        let upgrade = "101 S\r\nUpgrade: websocket\r\nConnection: Upgrade";
        let (good, bad) = ("Sec-WebSocket-Accept: KEY", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let protocol = "Sec-WebSocket-Protocol: mqtt";
        for (answer, fault, words) in [
            ("404 Not Found".to_owned(), TransportFault::WebSocketRefused(404), "404 Not Found"),
            ("503 Busy".to_owned(), TransportFault::WebSocketRefused(503), "503 Busy"),
            ("200 OK".to_owned(), TransportFault::WebSocketRefused(200), "200"),
            (format!("101 S\r\n{good}\r\n{protocol}"), TransportFault::WebSocket, "does not change"),
            (format!("{upgrade}\r\n{bad}\r\n{protocol}"), TransportFault::WebSocket, "key"),
            (format!("{upgrade}\r\n{protocol}"), TransportFault::WebSocket, "key"),
            // [v3 v5 MQTT-6.0.0-4]
            (format!("{upgrade}\r\n{good}"), TransportFault::WebSocket, "sub-protocol mqtt"),
            (
                format!("{upgrade}\r\n{good}\r\nSec-WebSocket-Protocol: mqttv3.1"),
                TransportFault::WebSocket,
                "sub-protocol",
            ),
            (
                format!("{upgrade}\r\n{good}\r\n{protocol}\r\nSec-WebSocket-Extensions: permessage-deflate"),
                TransportFault::WebSocket,
                "extensions",
            ),
            ("what?\x01\r\n".to_owned(), TransportFault::WebSocket, "WebSocket"),
            (format!("101 S\r\nX: {}", "x".repeat(1_000_000)), TransportFault::WebSocket, "does not end"),
        ] {
            let attempt = tokio::spawn(failure(server.options()));
            let mut link = server.accept().await;
            let answer = answer.replace("KEY", &link.accept_key());
            // An answer that is too long is not taken to its end.
            let _ = link.stream.write_all(format!("HTTP/1.1 {answer}\r\n\r\n").as_bytes()).await;
            let error = attempt.await.unwrap();
            assert_eq!(error.fault(), fault, "{words}: {error}");
            assert!(error.to_string().contains(words), "{words}: {error}");
        }
        assert_eq!(TransportFault::WebSocketRefused(503).class(), ErrorClass::Retry);
    });
}

#[test]
fn packets_and_frames_have_no_borders_in_common() {
    // [v3 v5 MQTT-6.0.0-2]
    run(async || {
        let server = Server::new().await;
        let connect = tokio::spawn(Client::connect(server.options()));
        let mut link = server.accept().await;
        let connack = async {
            let accept = link.accept_key();
            // With the answer, the first bytes of frames; each byte of CONNACK in a frame of its own, and some that are empty.
            let mut bytes = format!(
                "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\
                 Sec-WebSocket-Protocol: mqtt\r\n\r\n"
            )
            .into_bytes();
            bytes.extend(frame(BINARY, &CONNACK[..1]));
            bytes.extend(frame(FINAL, &CONNACK[1..2]));
            for byte in &CONNACK[2..] {
                bytes.extend(frame(FINAL | BINARY, &[]));
                bytes.extend(frame(FINAL | BINARY, &[*byte]));
            }
            link.raw(&bytes).await;
        };
        connack.await;
        let client = connect.await.unwrap().unwrap();
        assert_eq!(link.packet().await[0], 0x10);

        let mut stream = client.listen("t").await.unwrap();
        let large = vec![b'x'; 300_000];
        // Two packets and a part of the third in one frame, the rest in others, one of them longer than any buffer, with control
        // frames between them.
        let all = [publish(b"1"), publish(b"2"), publish(&large), publish(b"4")].concat();
        link.frame(BINARY, &all[..20]).await;
        link.frame(FINAL | PING, b"are you there?").await;
        link.frame(0, &all[20..200_000]).await;
        link.frame(FINAL | PONG, b"").await;
        link.frame(FINAL, &all[200_000..]).await;
        for payload in [&b"1"[..], b"2", &large, b"4"] {
            let message = timeout(PATIENCE, stream.next()).await.expect("no message comes").unwrap();
            assert!(message.payload()[..] == *payload, "{} bytes", message.payload().len());
        }
        link.expect(PONG, b"are you there?").await;
        drop(client);
    });
}

#[test]
fn every_byte_may_come_alone() {
    run(async || {
        let server = Server::new().await;
        let (client, mut link) = server.connected().await;
        let _ = link.stream.set_nodelay(true);
        let mut stream = client.listen("t").await.unwrap();
        let bytes = [
            frame(FINAL | BINARY, &publish(&[7; 200])),
            frame(FINAL | PING, b"?"),
            frame(FINAL | BINARY, &publish(b"end")),
        ];
        for byte in bytes.concat() {
            link.raw(&[byte]).await;
            tokio::task::yield_now().await;
        }
        for len in [200, 3] {
            let message = timeout(PATIENCE, stream.next()).await.expect("no message comes").unwrap();
            assert_eq!(message.payload().len(), len);
        }
        link.expect(PONG, b"?").await;
    });
}

#[test]
fn what_is_large_goes_in_frames_of_a_bounded_size() {
    run(async || {
        let server = Server::new().await;
        let (client, mut link) = server.connected().await;
        let payload: Vec<u8> = (0..1_000_000_u32).map(|index| (index ^ (index >> 8)) as u8).collect();
        client.publish("t", payload.clone()).qos(QoS::AtMostOnce).send().await.unwrap();
        let mut bytes = Vec::new();
        while bytes.len() < payload.len() + 8 {
            let (first, part) = link.receive().await;
            assert_eq!(first, FINAL | BINARY);
            assert!(part.len() <= 64 * 1024, "{}", part.len());
            bytes.extend(part);
        }
        assert!(bytes.ends_with(&payload));
    });
}

#[test]
fn data_that_is_not_binary_closes_the_connection() {
    // [v3 v5 MQTT-6.0.0-1]
    run(async || {
        let server = Server::new().await;
        for (name, bytes, code, words) in [
            ("text", frame(FINAL | 1, b"hello"), 1003_u16, "not binary"),
            ("reserved data", frame(FINAL | 3, b""), 1002, "opcode"),
            ("reserved control", frame(FINAL | 11, b""), 1002, "opcode"),
            ("masked", vec![FINAL | BINARY, 0x80, 0, 0, 0, 0], 1002, "masked"),
            ("extension", frame(FINAL | 0x40 | BINARY, b""), 1002, "agreed"),
            ("ping in parts", frame(PING, b""), 1002, "control frame"),
            ("long ping", frame(FINAL | PING, &[0; 126]), 1002, "control frame"),
            ("no beginning", frame(FINAL, b""), 1002, "not begun"),
            ("no end", [frame(BINARY, b""), frame(FINAL | BINARY, b"")].concat(), 1002, "inside"),
        ] {
            let (client, mut link) = server.connected().await;
            link.raw(&bytes).await;
            let error = failed(&client).await;
            assert_eq!(error.fault(), TransportFault::WebSocket, "{name}");
            assert!(error.to_string().contains(words), "{name}: {error}");
            link.expect(CLOSE, &code.to_be_bytes()).await;
            assert_eq!(link.stream.read(&mut [0]).await.unwrap(), 0, "{name}");
        }
    });
}

#[test]
fn a_server_that_closes_is_answered() {
    run(async || {
        let server = Server::new().await;
        for (payload, answer) in [(&[][..], 1000_u16), (&[3, 232], 1000), (&[3, 233, b'x'], 1001)] {
            let (client, mut link) = server.connected().await;
            link.frame(FINAL | CLOSE, payload).await;
            link.expect(CLOSE, &answer.to_be_bytes()).await;
            let waiting = |status: &Status| matches!(status, Status::Waiting { error: Cause::ConnectionLost, .. });
            timeout(PATIENCE, client.status().wait_for(waiting)).await.expect("it stays").unwrap();
        }
        // A code that may not be sent is not sent back.
        let (client, mut link) = server.connected().await;
        link.frame(FINAL | CLOSE, &1006_u16.to_be_bytes()).await;
        link.expect(CLOSE, &1002_u16.to_be_bytes()).await;
        assert!(failed(&client).await.to_string().contains("1006"));

        let (client, mut link) = server.connected().await;
        link.frame(FINAL | CLOSE, &[&1008_u16.to_be_bytes()[..], b"not you"].concat()).await;
        let error = failed(&client).await;
        assert!(error.to_string().contains("1008 not you"), "{error}");
    });
}

#[test]
fn a_client_that_ends_closes_the_websocket() {
    run(async || {
        let server = Server::new().await;
        let (client, mut link) = server.connected().await;
        let end = tokio::spawn(async move { client.shutdown(Duration::from_secs(5)).await });
        assert_eq!(link.packet().await[0], 0xe0);
        link.expect(CLOSE, &1000_u16.to_be_bytes()).await;
        assert_eq!(link.stream.read(&mut [0]).await.unwrap(), 0);
        drop(link);
        end.await.unwrap().unwrap();
    });
}
