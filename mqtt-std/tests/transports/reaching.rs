//! Sockets: addresses, families, and those that do not answer.

use core::time::Duration;
use std::io::{self, ErrorKind};

use mqtt_core::ErrorClass;
use mqtt_std::transport::{Scheme, Server, TransportError, TransportFault};
use mqtt_std::{Backoff, Cause, Client, Error, Options, Status};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use super::support::*;

#[test]
fn a_refusal_has_the_words_of_the_system_and_every_address() {
    run(async || {
        let closed = TcpSocket::new_v4().unwrap();
        closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = closed.local_addr().unwrap().port();
        let error = failure(options(&format!("mqtt://127.0.0.1:{port}"))).await;
        assert_eq!((error.fault(), error.kind()), (TransportFault::Io, ErrorKind::ConnectionRefused));
        assert_eq!(error.class(), ErrorClass::Retry);
        let text = error.to_string();
        assert!(text.contains(&format!("127.0.0.1:{port}")) && text.contains("Connection refused (os error"), "{text}");
        let source = core::error::Error::source(&error).and_then(|source| source.downcast_ref::<io::Error>()).unwrap();
        assert!(source.raw_os_error().is_some());
        // Up to the top.
        let error = Client::connect(options(&format!("mqtt://127.0.0.1:{port}"))).await.unwrap_err();
        assert!(error.to_string().contains("Connection refused"), "{error}");
    });
}

#[test]
fn a_name_without_an_address_is_told_and_tried_again() {
    run(async || {
        // A label of more than 63 characters is refused before anybody is asked.
        let name = "x".repeat(64) + ".invalid";
        let options = options(&format!("mqtt://{name}"));
        assert_fails(options.clone(), TransportFault::NameNotResolved, &name).await;
        let client = Client::connect_retrying(options).unwrap();
        let mut status = client.status();
        for _ in 0..2 {
            let waiting = |status: &Status| matches!(status, Status::Waiting { .. });
            let found = timeout(PATIENCE, status.wait_for(waiting)).await.unwrap().unwrap().clone();
            let Status::Waiting { error: Cause::Transport(error), .. } = found else { panic!("{found:?}") };
            assert_eq!(error.fault(), TransportFault::NameNotResolved);
            timeout(PATIENCE, status.wait_for(|status| !waiting(status))).await.unwrap().unwrap();
        }
    });
}

/// "localhost" has an address of each family, as far as the machine has both.
async fn both_families() -> bool {
    let found: Vec<_> = tokio::net::lookup_host("localhost:1").await.unwrap().collect();
    found.iter().any(|address| address.is_ipv6()) && found.iter().any(|address| address.is_ipv4())
}

#[test]
fn a_broker_that_listens_on_one_family_only_is_found() {
    run(async || {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address).await else { continue };
            let port = listener.local_addr().unwrap().port();
            // By its own address, and by a name that has others too.
            let literal = listener.local_addr().unwrap().to_string();
            let hosts = if both_families().await { vec![literal, format!("localhost:{port}")] } else { vec![literal] };
            for host in hosts {
                let connect = tokio::spawn(Client::connect(options(&format!("mqtt://{host}"))));
                let (stream, _) = timeout(PATIENCE, listener.accept()).await.expect(&host).unwrap();
                let mut peer = Peer::new(stream, V5);
                peer.welcome().await;
                drop(connect.await.unwrap().unwrap());
            }
        }
    });
}

#[test]
fn an_address_that_says_nothing_at_all_is_given_up_in_time() {
    run(async || {
        // Those that wait to be accepted are as many as may.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        let _listener = socket.listen(1).unwrap();
        let _waiting = (TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap());
        let options = options(&format!("mqtt://{address}?connect_timeout=3600"));
        let options = options.connect_timeout(Duration::from_millis(50));
        let error = timeout(PATIENCE, Client::connect(options)).await.unwrap().unwrap_err();
        assert!(matches!(error, Error::ConnectTimeout), "{error:?}");
    });
}

#[test]
fn the_time_to_connect_covers_tls_and_websocket() {
    run(async || {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        for scheme in ["mqtts", "ws", "wss"] {
            let options = options(&format!("{scheme}://{address}")).connect_timeout(Duration::from_millis(50));
            let error = timeout(PATIENCE, Client::connect(options)).await.unwrap().unwrap_err();
            assert!(matches!(error, Error::ConnectTimeout), "{scheme}: {error:?}");
            let (_silent, _) = listener.accept().await.unwrap();
        }
    });
}

#[test]
fn a_unix_socket_that_is_not_there_is_told_with_its_path() {
    run(async || {
        let error = failure(options("unix:///nowhere/m.sock")).await;
        assert_eq!((error.fault(), error.kind()), (TransportFault::Io, ErrorKind::NotFound));
        assert!(error.to_string().starts_with("/nowhere/m.sock: No such file"), "{error}");
    });
}

#[test]
fn any_stream_will_do() {
    run(async || {
        let (near, far) = tokio::io::duplex(64);
        let near = std::sync::Mutex::new(Some(near));
        let connector = move |server: Server| {
            assert_eq!((server.scheme(), server.host(), server.port()), (Scheme::Mqtt, "anywhere", 7));
            let near = near.lock().unwrap().take();
            async move { near.ok_or_else(|| io::Error::new(ErrorKind::NotConnected, "there was one only")) }
        };
        let options = Options::new("anywhere", 7).connector(connector).backoff(Backoff::new().minimum(1));
        let connect = tokio::spawn(Client::connect(options));
        let mut peer = Peer::new(far, V5);
        peer.welcome().await;
        let client = connect.await.unwrap().unwrap();
        client.publish("t", vec![7; 1_000]).send().await.unwrap();
        assert_eq!(peer.receive().await.len(), 1_000 + 7);
        drop(peer);
        let lost = |status: &Status| matches!(status, Status::Waiting { error: Cause::Transport(_), .. });
        let status = timeout(PATIENCE, client.status().wait_for(lost)).await.unwrap().unwrap().clone();
        assert!(format!("{status:?}").contains("there was one only"), "{status:?}");
    });
}

#[test]
fn a_connector_says_itself_whether_to_try_again() {
    run(async || {
        let connector = |_| async {
            let refused = TransportError::new(TransportFault::ProxyRefused, "the gate is shut");
            Err::<TcpStream, _>(refused.into())
        };
        let client = Client::connect_retrying(Options::new("anywhere", 7).connector(connector)).unwrap();
        let closed = |status: &Status| matches!(status, Status::Closed { .. });
        let status = timeout(PATIENCE, client.status().wait_for(closed)).await.unwrap().unwrap().clone();
        assert!(format!("{status:?}").contains("the gate is shut"), "{status:?}");
    });
}

#[test]
fn a_connector_may_lie_under_tls_and_websocket() {
    run(async || {
        let Some(broker) = Everywhere::start() else { return };
        let port = broker.wss;
        let connector = move |server: Server| async move {
            assert_eq!(server.scheme(), Scheme::Wss);
            TcpStream::connect(("127.0.0.1", port)).await
        };
        let tls = mqtt_std::transport::Tls::new().ca_pem(broker.authority.pem.clone());
        let client = Client::connect(options("wss://localhost:1/mqtt").tls(tls).connector(connector)).await.unwrap();
        end(client).await;
    });
}
