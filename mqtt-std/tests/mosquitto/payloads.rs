//! Payloads that are larger than what the client holds.

use mqtt_std::{Client, Delivered, Options, PayloadFile, QoS, Subscription};
use tokio::io::AsyncReadExt;

use super::support::*;

const LENGTH: usize = 20_000_000;

/// A file that is removed.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("mqtt-std-{name}-{}", std::process::id()));
        let bytes: Vec<u8> = (0..LENGTH).map(|at| (at ^ at >> 8 ^ at >> 16) as u8).collect();
        std::fs::write(&path, bytes).unwrap();
        Self(path)
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.0).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn streaming(options: Options) -> Options {
    options.maximum_packet_size(64 * 1024).streaming().keep_session()
}

/// The next payload that comes to its end, and how many did not.
async fn arrives(stream: &mut Subscription) -> (Vec<u8>, usize) {
    let mut cut = 0;
    loop {
        let message = next(stream).await;
        assert!(message.is_streamed());
        let mut found = Vec::new();
        match message.reader().read_to_end(&mut found).await {
            Ok(_) => return (found, cut),
            Err(_) => cut += 1,
        }
    }
}

#[test]
fn a_file_goes_through_at_every_qos() {
    let file = Scratch::new("through");
    run(BOTH, Config::PLAIN, async |broker, version| {
        let subscriber = streaming(options(broker.port(), version, "subscriber"));
        let subscriber = Client::connect(subscriber).await.unwrap();
        let publisher = connect(broker, version, "publisher").await;
        let mut stream = subscriber.subscribe("files/#", QoS::ExactlyOnce).streamed().await.unwrap();
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let source = PayloadFile::new(&file.0).await.unwrap();
            let delivered = publisher.publish_from("files/a", source).qos(qos);
            let (delivered, (found, cut)) = tokio::join!(delivered.into_future(), arrives(&mut stream));
            assert_eq!(delivered.unwrap() == Delivered::Sent, qos == QoS::AtMostOnce);
            assert!(cut == 0 && found == file.bytes(), "{qos:?}");
        }
        end(publisher).await;
        end(subscriber).await;
    });
}

#[test]
fn a_file_arrives_once_though_both_links_are_cut_half_way() {
    let file = Scratch::new("cut");
    run(BOTH, Config::PLAIN, async |broker, version| {
        let (near, far) = (Cable::to(broker.port()).await, Cable::to(broker.port()).await);
        let subscriber = streaming(options(far.port(), version, "subscriber"));
        let subscriber = Client::connect(subscriber).await.unwrap();
        let mut stream = subscriber.subscribe("files/#", QoS::ExactlyOnce).streamed().await.unwrap();
        let publisher = options(near.port(), version, "publisher").keep_session();
        let publisher = Client::connect(publisher).await.unwrap();

        let source = PayloadFile::new(&file.0).await.unwrap();
        let receipt = publisher.publish_from("files/a", source).qos(QoS::ExactlyOnce).send().await.unwrap();
        tokio::time::sleep(core::time::Duration::from_millis(5)).await;
        near.cut();
        near.mend();
        let message = next(&mut stream).await;
        message.reader().read_exact(&mut vec![0; 1_000_000]).await.unwrap();
        far.cut();
        // Nothing is read as long as the reader is this far behind, so the client does not see it.
        tokio::time::sleep(core::time::Duration::from_millis(200)).await;
        far.mend();
        assert!(message.reader().read_to_end(&mut Vec::new()).await.is_err(), "the rest is not here");
        let (found, _) = arrives(&mut stream).await;
        assert!(found == file.bytes());
        receipt.await.unwrap();
        publisher.publish("files/last", "last").qos(QoS::ExactlyOnce).await.unwrap();
        assert_eq!(next_line(&mut stream).await, "files/last last", "it came once");
        end(publisher).await;
        end(subscriber).await;
    });
}
