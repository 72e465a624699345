//! A server that answers a handshake with any bytes: the fuzzer calls this, and so does a test.

use mqtt_std::transport::{Proxy, Server, Stream};
use mqtt_std::{Client, Options};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::runtime::Builder;
use tungstenite::handshake::derive_accept_key;

/// The attempt to connect ends, in a client or an error. The first byte chooses the handshake.
pub(crate) fn handshakes(bytes: &[u8]) {
    let Some((kind, answer)) = bytes.split_first() else { return };
    let answer = answer.to_vec();
    let (server, proxy) = match kind % 4 {
        0 | 1 => (Server::websocket("fuzz", 80, "/mqtt"), None),
        2 => (Server::tcp("fuzz", 1883), Some(Proxy::socks5("proxy", 1080).credentials("alice", "secret"))),
        _ => (Server::tcp("fuzz", 1883), Some(Proxy::http("proxy", 8080).credentials("alice", "secret"))),
    };
    // Nobody guesses the key's answer: for the half of them it is there, and the bytes are frames.
    let opens = kind % 4 == 1;
    let options = Options::of(server).connector(move |server: Server| {
        let (near, far) = tokio::io::duplex(4096);
        tokio::spawn(answer_with(far, answer.clone(), opens));
        let proxy = proxy.clone();
        async move {
            match proxy {
                None => Ok(Box::new(near) as Box<dyn Stream>),
                Some(proxy) => Ok(proxy.connect(&server, near).await?),
            }
        }
    });
    // All is in memory, and time passes as soon as everybody waits. What still runs then ends with its runtime.
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    drop(runtime.block_on(Client::connect(options)));
}

async fn answer_with(mut far: DuplexStream, answer: Vec<u8>, opens: bool) {
    let mut request = [0; 2048];
    let len = far.read(&mut request).await.unwrap_or(0);
    if opens {
        let request = String::from_utf8_lossy(&request[..len]);
        let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).expect("a key");
        let accept = derive_accept_key(key.as_bytes());
        let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: mqtt";
        let _ = far.write_all(format!("{head}\r\nSec-WebSocket-Accept: {accept}\r\n\r\n").as_bytes()).await;
    }
    let _ = far.write_all(&answer).await;
    let _ = far.shutdown().await;
    while far.read(&mut request).await.is_ok_and(|len| len > 0) {}
}
