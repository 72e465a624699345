//! All that is logged, at every level and by everybody, and all that is shown, in conversations of every kind: no secret is in it.

use mqtt_core::Property::ReasonString;
use mqtt_std::{Client, Credentials, CredentialsRequest, Options, QoS, ReasonCode, Status, Will};

use super::log;
use super::support::*;

/// No secret is longer or shorter, so that no part of one is missed.
const SECRETS: [&str; 7] = ["s3cret-1", "s3cret-2", "s3cret-3", "s3cret-4", "s3cret-5", "s3cret-6", "s3cret-7"];

fn secrets_in(text: &str) -> Vec<&'static str> {
    let has = |secret: &&str| {
        let bytes = format!("{:?}", secret.as_bytes());
        let base64 = ["czNjcmV0", "MzY3JldC", "zY3JldC"];
        text.contains(*secret)
            || text.contains(bytes.trim_matches(['[', ']']))
            || base64.iter().any(|part| text.contains(part))
    };
    SECRETS.into_iter().filter(has).collect()
}

/// A client with these options meets a broker that accepts, talks, throws it out, and refuses; returns all that was shown.
async fn converse(options: Options, is_websocket: bool) -> String {
    let lair = Lair::new(V5);
    let options = options.connector(lair.network().clone()).will(Will::new("gone", "x"));
    let mut shown = format!("{options:?} {options:#?}");
    let client = Client::connect_retrying(options).unwrap();
    let mut status = client.status();
    if is_websocket {
        // It is refused with the words of the server, once it has said all.
        for _ in 0..2 {
            let mut end = lair.network().accept().await;
            tokio::io::AsyncWriteExt::write_all(&mut end, b"HTTP/1.1 403 Forbidden\r\n\r\n").await.unwrap();
            let next = status.wait_for(is_over).await.unwrap().clone();
            shown.push_str(&format!("{next:?} {next:#?}"));
            status.wait_for(|status| !is_over(status)).await.unwrap();
        }
        return format!("{shown} {client:?}");
    }
    let mut wire = lair.accept().await;
    wire.packet().await;
    wire.connack(ReasonCode::SUCCESS, &[]).await;
    let receipt = client.publish("t", "x").qos(QoS::AtLeastOnce).send().await.unwrap();
    wire.packet().await;
    shown.push_str(&format!("{:?} {receipt:?} {:?}", *status.borrow_and_update(), client.statistics()));
    // Not authorized, in the middle.
    wire.write(&[0xe0, 1, 0x87]).await;
    let next = status.wait_for(is_over).await.unwrap().clone();
    shown.push_str(&format!("{next:?} {next:#?}"));
    let mut wire = lair.accept().await;
    wire.packet().await;
    wire.connack(ReasonCode::BAD_USER_NAME_OR_PASSWORD, &[ReasonString("no")]).await;
    let next = status.wait_for(is_over).await.unwrap().clone();
    if let Status::Waiting { error, .. } | Status::Closed { error: Some(error), .. } = &next {
        let error = error.to_error();
        shown.push_str(&format!("{error} {error:?} {error:#?}"));
    }
    format!("{shown} {client:?} {next:?}")
}

#[test]
fn no_secret_is_logged_or_shown() {
    log::listen();
    let mut shown = String::new();
    run(async || {
        let plain: Options = "mqtt://alice:s3cret-1@broker.example?client_id=pump-7".parse().unwrap();
        let provided = Options::new("broker.example", 1883).credentials(async |request: CredentialsRequest| {
            let credentials = Credentials::new("alice").password("s3cret-2");
            // As an application might.
            tracing::trace!(?request, ?credentials, "asked");
            Ok::<_, std::io::Error>(credentials)
        });
        shown.push_str(&converse(plain, false).await);
        shown.push_str(&converse(provided, false).await);
    });
    #[cfg(feature = "websocket")]
    run(async || {
        let query: Options = "ws://alice:s3cret-3@broker.example/mqtt?token=s3cret-4".parse().unwrap();
        let options = query.websocket_header("Authorization", "Bearer s3cret-5");
        shown.push_str(&converse(options, true).await);
        // A header that is not valid is told by its name.
        let options: Options = "ws://broker.example".parse().unwrap();
        let error = Client::connect(
            options.websocket_header("Cookie", "s3cret-5\r\n").connector(Lair::new(V5).network().clone()),
        )
        .await
        .unwrap_err();
        shown.push_str(&format!("{error} {error:?}"));
    });
    #[cfg(feature = "scram")]
    run(async || {
        let options = Options::new("broker.example", 1883);
        let options = options.authenticator(mqtt_std::authentication::ScramSha256::new("alice", "s3cret-6"));
        let lair = Lair::new(V5);
        let client = Client::connect_retrying(options.clone().connector(lair.network().clone())).unwrap();
        let mut wire = lair.accept().await;
        wire.packet().await;
        // Another nonce than the client's.
        let data = b"r=another,s=c2FsdA==,i=4096";
        let properties = [&[0x15, 0, 13][..], b"SCRAM-SHA-256", &[0x16, 0, data.len() as u8], data].concat();
        wire.write(&packet(0xf0, &[&[0x18][..], &length(properties.len()), &properties].concat())).await;
        let cause = end(&client).await;
        shown.push_str(&format!("{options:?} {cause} {cause:?} {client:?}"));
    });
    #[cfg(feature = "proxy")]
    run(async || {
        let nobody = tokio::net::TcpSocket::new_v4().unwrap();
        nobody.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = nobody.local_addr().unwrap().port();
        for scheme in ["socks5", "http"] {
            let proxy: mqtt_std::transport::Proxy =
                format!("{scheme}://alice:s3cret-7@127.0.0.1:{port}").parse().unwrap();
            let options = Options::new("broker.example", 1883).proxy(proxy.clone());
            let error = Client::connect(options.clone()).await.unwrap_err();
            shown.push_str(&format!("{proxy:?} {options:?} {error} {error:?}"));
        }
    });
    assert!(secrets_in(&shown).is_empty(), "{:?} in {shown}", secrets_in(&shown));
    let logged = log::logged();
    for message in ["connecting", "connection failed, trying again", "connection failed, giving up", "asked"] {
        assert!(logged.contains(message), "{message:?} is not logged: the log says nothing");
    }
    assert!(secrets_in(&logged).is_empty(), "{:?} in {logged}", secrets_in(&logged));
}

#[test]
fn a_secret_would_be_found() {
    for text in ["x s3cret-1", "[115, 51, 99, 114, 101, 116, 45, 49]", "Basic YWxpY2U6czNjcmV0LTE="] {
        assert_eq!(secrets_in(text)[0], "s3cret-1", "{text}");
    }
}
