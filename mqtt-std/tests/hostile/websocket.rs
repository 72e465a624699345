//! A server of WebSocket whose every byte is the test's.
#![cfg(feature = "websocket")]

use mqtt_core::Property::ServerReference;
use mqtt_std::testkit::LinkEnd;
use mqtt_std::{Cause, Client, Error, Options, ReasonCode, Redirects};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use tungstenite::handshake::derive_accept_key;

use super::support::*;

/// Takes the request, and returns it.
async fn asked(end: &mut LinkEnd) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(end.read_u8().await.unwrap());
    }
    String::from_utf8(request).unwrap()
}

/// Takes the request, returns it, and opens.
async fn open(end: &mut LinkEnd) -> String {
    let request = asked(end).await;
    end.write_all(opening(&request).as_bytes()).await.unwrap();
    request
}

/// The answer that opens.
fn opening(request: &str) -> String {
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    let accept = derive_accept_key(key.as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
    )
}

/// A binary frame.
fn frame(payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&[0x82, 126][..], &len, payload].concat()
}

fn options(lair: &Lair, url: &str) -> Options {
    let options: Options = url.parse().unwrap();
    options.connector(lair.network().clone()).client_identifier("client")
}

/// A client that is connected, and its link.
async fn connected(lair: &Lair) -> (Client, LinkEnd) {
    let serve = async {
        let mut end = lair.network().accept().await;
        open(&mut end).await;
        end.write_all(&frame(&[0x20, 3, 0, 0, 0])).await.unwrap();
        end
    };
    let (client, end) = tokio::join!(Client::connect(options(lair, "ws://broker.example")), serve);
    (client.unwrap(), end)
}

#[test]
fn the_query_of_an_address_goes_to_hosts_that_the_options_name_only() {
    for (host, redirects, told) in [
        ("evil.example", Redirects::up_to(1), false),
        ("evil.example", Redirects::up_to(1).with_credentials(), true),
        ("broker.example", Redirects::up_to(1), true),
    ] {
        run(async || {
            let lair = Lair::new(V5);
            let options = options(&lair, "ws://broker.example/mqtt?token=s3cret");
            let options = options.websocket_header("Authorization", "Bearer s3cret").follow_redirects(redirects);
            let _client = Client::connect_retrying(options).unwrap();
            let mut first = lair.network().accept().await;
            let request = open(&mut first).await;
            assert_eq!(request.matches("s3cret").count(), 2, "{request}");
            let reference = format!("{host}:8080");
            let properties = [ServerReference(&reference)];
            first.write_all(&frame(&connack(V5, ReasonCode::USE_ANOTHER_SERVER, &properties))).await.unwrap();
            let mut second = lair.network().accept().await;
            let request = open(&mut second).await;
            assert_eq!(request.contains("s3cret"), told, "{host}: {request}");
            assert!(request.starts_with("GET /mqtt"), "{request}");
        });
    }
}

#[test]
fn a_handshake_in_drips_has_the_time_of_one() {
    run(async || {
        let lair = Lair::new(V5);
        let begun = Instant::now();
        let serve = async {
            let mut end = lair.network().accept().await;
            asked(&mut end).await;
            for byte in b"HTTP/1.1 101 Switching Protocols\r\n" {
                if end.write_u8(*byte).await.is_err() {
                    return;
                }
                tokio::time::sleep(SECOND).await;
            }
        };
        let (client, ()) = tokio::join!(Client::connect(options(&lair, "ws://broker.example")), serve);
        assert!(matches!(client, Err(Error::ConnectTimeout)), "{client:?}");
        assert!(begun.elapsed() <= 12 * SECOND, "{:?}", begun.elapsed());
    });
}

#[test]
fn an_answer_without_end_is_not_read_to_its_end() {
    for line in ["X-Padding: ", "HTTP/1.1 101 "] {
        let peak = peak(async || {
            let lair = Lair::new(V5);
            let begun = Instant::now();
            let mut sent = 0_usize;
            let serve = async {
                let mut end = lair.network().accept().await;
                asked(&mut end).await;
                if line.starts_with('X') {
                    end.write_all(b"HTTP/1.1 101 Switching Protocols\r\n").await.unwrap();
                }
                end.write_all(line.as_bytes()).await.unwrap();
                while end.write_all(&[b'x'; 1_000]).await.is_ok() {
                    sent += 1_000;
                }
            };
            let (client, ()) = tokio::join!(Client::connect(options(&lair, "ws://broker.example")), serve);
            assert!(matches!(client, Err(Error::Transport(_))), "{client:?}");
            assert!(sent < 200_000, "{sent}");
            assert!(begun.elapsed() < SECOND);
        });
        assert!(peak < 512 * KIB, "{peak} bytes");
    }
}

#[test]
fn frames_that_say_nothing_keep_nobody_alive() {
    // Pings; pongs; fragments without payload; the head of a frame that does not end.
    for (name, bytes) in [
        ("pings", &[0x89, 0][..]),
        ("long pings", &[&[0x89, 125][..], &[b'x'; 125]].concat()),
        ("pongs", &[0x8a, 0]),
        ("fragments", &[0x00, 0]),
    ] {
        let peak = peak(async || {
            let lair = Lair::new(V5);
            let (client, mut end) = connected(&lair).await;
            if name == "fragments" {
                // They go on with a message that has begun.
                end.write_all(&[0x02, 0]).await.unwrap();
            }
            let begun = Instant::now();
            // It never reads, so pongs do not leave either.
            let serve = async {
                while end.write_all(&bytes.repeat(2_000 / bytes.len())).await.is_ok() {
                    tokio::time::sleep(SECOND / 10).await;
                }
            };
            let (cause, ()) = tokio::join!(super::support::end(&client), serve);
            assert!(matches!(cause, Cause::Connection(_) | Cause::WriteTimeout), "{name}: {cause:?}");
            assert!(begun.elapsed() < 120 * SECOND, "{name}: {:?}", begun.elapsed());
        });
        assert!(peak < 512 * KIB, "{name}: {peak} bytes");
    }
}

#[test]
fn a_frame_of_any_announced_length_takes_no_memory() {
    let peak = peak(async || {
        let lair = Lair::new(V5);
        let (client, mut end) = connected(&lair).await;
        let head = [&[0x82, 127][..], &(u64::MAX >> 1).to_be_bytes(), &[0x30, 0x80, 0x80]].concat();
        end.write_all(&head).await.unwrap();
        assert!(matches!(super::support::end(&client).await, Cause::Connection(_)));
    });
    assert!(peak < 512 * KIB, "{peak} bytes");
}

#[test]
fn what_a_server_says_at_its_end_stays_on_its_line() {
    run(async || {
        let lair = Lair::new(V5);
        let (client, mut end) = connected(&lair).await;
        let words = "bye\r\n2026-01-01 INFO \u{1b}[32mall is well";
        let close = [&[0x88, (words.len() + 2) as u8, 0x03, 0xf0][..], words.as_bytes()].concat();
        end.write_all(&close).await.unwrap();
        let cause = super::support::end(&client).await;
        let shown = format!("{cause} {cause:?}");
        assert!(shown.contains("all is well") && !shown.contains(char::is_control), "{shown:?}");
    });
}

#[test]
fn frames_without_payload_leave_others_their_turn() {
    let answer = |written: &[u8]| {
        let request = core::str::from_utf8(written).ok()?;
        Some([opening(request).as_bytes(), &frame(&[0x20, 3, 0, 0, 0])].concat())
    };
    run(async || survive("ws://broker.example".parse().unwrap(), answer, [0x89, 0]).await);
}
