//! Proxies that let through, and those that do not.

use core::net::SocketAddr;
use core::time::Duration;

use mqtt_core::ErrorClass;
use mqtt_std::transport::{Proxy, Tls, TransportFault};
use mqtt_std::{Client, Error, Options};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::support::*;

/// A small proxy for "alice" with "secret", or for anybody, that tells what it is asked for. The name "broker.test" is known to it
/// alone: it is this machine.
struct TestProxy {
    address: SocketAddr,
    asked: mpsc::UnboundedReceiver<String>,
}

#[derive(Clone, Copy)]
enum Kind {
    Socks5 { password: bool },
    Http { password: bool },
}

impl TestProxy {
    async fn start(kind: Kind) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, asked) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sender = sender.clone();
                tokio::spawn(async move {
                    // A client that hangs up is none the worse.
                    let _ = match kind {
                        Kind::Socks5 { password } => socks5(stream, password, &sender).await,
                        Kind::Http { password } => http(stream, password, &sender).await,
                    };
                });
            }
        });
        Self { address, asked }
    }

    fn socks5(&self) -> Proxy {
        Proxy::socks5(self.address.ip().to_string(), self.address.port())
    }

    fn http(&self) -> Proxy {
        Proxy::http(self.address.ip().to_string(), self.address.port())
    }

    async fn asked(&mut self) -> String {
        timeout(PATIENCE, self.asked.recv()).await.expect("nobody asks").unwrap()
    }
}

async fn socks5(mut stream: TcpStream, password: bool, asked: &mpsc::UnboundedSender<String>) -> std::io::Result<()> {
    assert_eq!(stream.read_u8().await?, 5);
    let mut methods = vec![0; stream.read_u8().await?.into()];
    stream.read_exact(&mut methods).await?;
    let method = if password { 2 } else { 0 };
    if !methods.contains(&method) {
        return stream.write_all(&[5, 0xff]).await;
    }
    stream.write_all(&[5, method]).await?;
    if password {
        assert_eq!(stream.read_u8().await?, 1);
        let user = text(&mut stream).await?;
        let good = (user.as_str(), text(&mut stream).await?.as_str()) == ("alice", "secret");
        stream.write_all(&[1, u8::from(!good)]).await?;
        if !good {
            return Ok(());
        }
    }
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    assert_eq!(head[..3], [5, 1, 0]);
    let host = match head[3] {
        1 => {
            let mut ip = [0; 4];
            stream.read_exact(&mut ip).await?;
            core::net::Ipv4Addr::from(ip).to_string()
        }
        3 => text(&mut stream).await?,
        kind => panic!("address of type {kind}"),
    };
    let port = stream.read_u16().await?;
    let _ = asked.send(format!("{host}:{port}"));
    let ip = if host == "broker.test" { "127.0.0.1" } else { &host };
    match TcpStream::connect((ip, port)).await {
        Ok(mut far) => {
            stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
            copy_bidirectional(&mut stream, &mut far).await.map(drop)
        }
        Err(_) => stream.write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]).await,
    }
}

async fn text(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut bytes = vec![0; stream.read_u8().await?.into()];
    stream.read_exact(&mut bytes).await?;
    Ok(String::from_utf8(bytes).unwrap())
}

async fn http(mut stream: TcpStream, password: bool, asked: &mpsc::UnboundedSender<String>) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await?);
    }
    let request = String::from_utf8(request).unwrap();
    // base64 of alice:secret
    if password && !request.contains("\r\nProxy-Authorization: Basic YWxpY2U6c2VjcmV0\r\n") {
        return stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
    }
    let target = request.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap();
    assert!(request.contains(&format!(" HTTP/1.1\r\nHost: {target}\r\n")), "{request}");
    let _ = asked.send(target.to_owned());
    match TcpStream::connect(target.replace("broker.test", "127.0.0.1")).await {
        Ok(mut far) => {
            stream.write_all(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n").await?;
            copy_bidirectional(&mut stream, &mut far).await.map(drop)
        }
        Err(_) => stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await,
    }
}

async fn works(options: Options) {
    let client = timeout(PATIENCE, Client::connect(options)).await.expect("it takes too long").unwrap();
    client.publish("t", "x").await.unwrap();
    end(client).await;
}

#[test]
fn a_broker_is_reached_through_a_proxy_that_looks_up_its_name() {
    run(async || {
        let Some(broker) = Everywhere::start() else { return };
        for password in [false, true] {
            let mut socks5 = TestProxy::start(Kind::Socks5 { password }).await;
            let mut http = TestProxy::start(Kind::Http { password }).await;
            let asked = format!("broker.test:{}", broker.tcp);
            let with = |proxy: Proxy| if password { proxy.credentials("alice", "secret") } else { proxy };
            let options = || options(&format!("mqtt://{asked}"));
            works(options().proxy(with(socks5.socks5()))).await;
            assert_eq!(socks5.asked().await, asked);
            works(options().proxy(with(http.http()))).await;
            assert_eq!(http.asked().await, asked);
        }
    });
}

#[test]
fn tls_and_websocket_are_spoken_with_the_broker() {
    run(async || {
        let Some(broker) = Everywhere::start() else { return };
        let socks5 = TestProxy::start(Kind::Socks5 { password: false }).await;
        let http = TestProxy::start(Kind::Http { password: false }).await;
        for proxy in [socks5.socks5(), http.http()] {
            let tls = Tls::new().ca_pem(broker.authority.pem.clone());
            for url in [format!("mqtts://127.0.0.1:{}", broker.tls), format!("wss://127.0.0.1:{}", broker.wss)] {
                works(options(&url).tls(tls.clone()).proxy(proxy.clone())).await;
            }
            works(options(&format!("unix://{}", broker.unix)).proxy(proxy.clone())).await;
        }
    });
}

#[test]
fn a_proxy_that_does_not_let_through_says_why() {
    run(async || {
        let closed = tokio::net::TcpSocket::new_v4().unwrap();
        closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let closed = closed.local_addr().unwrap();
        let options = || options(&format!("mqtt://{closed}"));

        let socks5 = TestProxy::start(Kind::Socks5 { password: true }).await;
        let http = TestProxy::start(Kind::Http { password: true }).await;
        for (proxy, words) in [(socks5.socks5(), "auth"), (http.http(), "407")] {
            assert_fails(options().proxy(proxy.clone()), TransportFault::ProxyRefused, words).await;
            let stranger = proxy.clone().credentials("alice", "s3cret");
            let error = failure(options().proxy(stranger)).await;
            assert_eq!((error.fault(), error.class()), (TransportFault::ProxyRefused, ErrorClass::Stop), "{error}");
            assert!(!error.to_string().contains("s3cret") && !format!("{error:?}").contains("s3cret"));
        }
        for (proxy, words) in [(socks5.socks5(), "Connection refused"), (http.http(), "502 Bad Gateway")] {
            let proxy = proxy.credentials("alice", "secret");
            assert_fails(options().proxy(proxy), TransportFault::Proxy, words).await;
        }
        // One that is not there at all.
        let nobody = Proxy::socks5("127.0.0.1", closed.port());
        assert_fails(options().proxy(nobody), TransportFault::Io, "Connection refused").await;
    });
}

#[test]
fn a_proxy_that_talks_nonsense_is_left() {
    run(async || {
        for (bytes, words) in [(&b"\x04\x00"[..], "proxy"), (b"HTTP/1.1 200 OK\r\n\r\nhello", "proxy"), (b"", "proxy")]
        {
            for http in [false, true] {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let port = listener.local_addr().unwrap().port();
                let proxy = if http { Proxy::http("127.0.0.1", port) } else { Proxy::socks5("127.0.0.1", port) };
                tokio::spawn(async move {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    let _ = stream.read(&mut [0; 1024]).await;
                    let _ = stream.write_all(bytes).await;
                });
                assert_fails(options("mqtt://broker.test").proxy(proxy), TransportFault::Proxy, words).await;
            }
        }
    });
}

#[test]
fn a_password_for_a_proxy_is_not_shown() {
    let proxy: Proxy = "socks5://alice:s3cret@gateway.example".parse().unwrap();
    let shown = format!("{proxy:?} {:?}", Options::new("a", 1).proxy(proxy.clone()));
    assert!(shown.contains("gateway.example") && !shown.contains("s3cret"), "{shown}");
}

#[test]
fn a_proxy_in_drips_or_without_end_has_the_time_of_an_attempt() {
    run(async || {
        tokio::time::pause();
        // What it says, and then one more byte at a time, or many.
        let drips = Duration::from_secs(1);
        for (kind, said, each, pause) in [
            (Kind::Socks5 { password: false }, &[5_u8][..], &[0][..], drips),
            (Kind::Socks5 { password: false }, &[5, 0, 5, 0, 0, 3, 255], b"x", drips),
            (Kind::Http { password: false }, b"HTTP/1.1 ", b"2", drips),
            (Kind::Http { password: false }, b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", drips),
            (Kind::Http { password: false }, b"HTTP/1.1 200 ", &[b'x'; 1_000], Duration::from_millis(1)),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let proxy = match kind {
                Kind::Socks5 { .. } => Proxy::socks5("127.0.0.1", port),
                Kind::Http { .. } => Proxy::http("127.0.0.1", port),
            };
            let begun = tokio::time::Instant::now();
            let serve = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut result = stream.write_all(said).await;
                while result.is_ok() {
                    tokio::time::sleep(pause).await;
                    result = stream.write_all(each).await;
                }
            };
            let connect = async {
                let client = Client::connect(Options::new("broker.test", 1883).proxy(proxy)).await;
                (client, begun.elapsed())
            };
            let ((client, elapsed), ()) = tokio::join!(connect, serve);
            let error = client.unwrap_err();
            assert!(matches!(error, Error::ConnectTimeout | Error::Transport(_)), "{error:?}");
            assert!(elapsed < Duration::from_secs(11), "{elapsed:?}");
        }
    });
}
