//! The program that the README begins with, over everything that Mosquitto offers.

use core::time::Duration;

use mqtt_std::transport::{Psk, Tls};
use mqtt_std::{Client, Options, ProtocolVersion, QoS};
use tokio::time::timeout;

use super::support::*;

/// Larger than any buffer on the way.
const LARGE: u32 = 1_500_000;

/// Mosquitto 2.0 sends 4 KiB of a frame every 100 ms.
const LARGE_FRAME: u32 = 70_000;

async fn program(options: Options) -> Result<(), Box<dyn core::error::Error>> {
    let client = Client::connect(options).await?;
    let mut lamps = client.subscribe("cellar/+/cmd", QoS::AtLeastOnce).await?;
    client.publish("cellar/stairlamp/cmd", "on").qos(QoS::ExactlyOnce).retain().await?;
    let message = lamps.next().await.ok_or("no message")?;
    assert_eq!((message.topic(), message.payload_str()?), ("cellar/stairlamp/cmd", "on"));
    let end = client.shutdown(Duration::from_secs(5)).await?;
    assert_eq!(end.undelivered, 0);
    Ok(())
}

/// Runs it in both versions over one transport, and sends so many bytes.
fn over(len: u32, options: impl Fn(&Everywhere) -> Options + Send + 'static) {
    run(async move || {
        let Some(broker) = Everywhere::start() else { return };
        for version in BOTH {
            let program = program(options(&broker).version(version));
            let result = timeout(PATIENCE, program).await.unwrap_or_else(|_| panic!("{version:?}: it takes too long"));
            if let Err(error) = result {
                panic!("{version:?}: {error}");
            }
            large(options(&broker), version, len).await;
        }
    });
}

/// Bytes that no buffer holds at once come and go as they are.
async fn large(options: Options, version: ProtocolVersion, len: u32) {
    let payload: Vec<u8> = (0..len).map(|index| (index ^ (index >> 8)) as u8).collect();
    let client = Client::connect(options.version(version)).await.unwrap();
    let mut stream = client.subscribe("large", QoS::AtLeastOnce).await.unwrap();
    let publish = client.publish("large", payload.clone()).qos(QoS::AtLeastOnce);
    timeout(PATIENCE, publish.into_future()).await.expect("it is not acknowledged").unwrap();
    let message = timeout(PATIENCE, stream.next()).await.expect("no message comes").unwrap();
    assert!(message.payload()[..] == payload[..], "{version:?}: {} other bytes", message.payload().len());
    end(client).await;
}

#[test]
fn over_tcp() {
    over(LARGE, |broker| options(&format!("mqtt://localhost:{}", broker.tcp)));
}

#[test]
fn over_tls() {
    over(LARGE, |broker| {
        let tls = Tls::new().ca_file(broker.files.path("ca.pem"));
        options(&format!("mqtts://localhost:{}", broker.tls)).tls(tls)
    });
}

#[test]
fn over_tls_with_a_client_certificate() {
    over(LARGE, |broker| {
        let (chain, key) = broker.files.write_pair("client", &broker.authority.client("pump-7"));
        let tls = Tls::new().ca_file(broker.files.path("ca.pem")).client_certificate_files(chain, key);
        options(&format!("mqtts://127.0.0.1:{}", broker.mutual)).tls(tls)
    });
}

#[test]
fn over_tls_with_a_pre_shared_key() {
    over(LARGE, |broker| options(&format!("mqtts://localhost:{}", broker.psk)).psk(Psk::new("pump-7", KEY)));
}

// Large payloads come in several frames.
#[test]
fn over_websocket() {
    over(LARGE_FRAME, |broker| options(&format!("ws://localhost:{}/mqtt", broker.ws)));
}

#[test]
fn over_secure_websocket() {
    over(LARGE_FRAME, |broker| {
        let tls = Tls::new().ca_pem(broker.authority.pem.clone());
        options(&format!("wss://localhost:{}", broker.wss)).tls(tls)
    });
}

#[test]
fn over_a_unix_socket() {
    over(LARGE, |broker| options(&format!("unix://{}", broker.unix)));
}
