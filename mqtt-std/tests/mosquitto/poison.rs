//! A message that the broker cannot bear.

use mqtt_std::{Client, Error, Outcome, QoS, UsageError};

use super::support::*;

// 3.1.1 has no way to say that a packet is too large but to hang up; trap R4.
#[test]
fn a_message_that_is_too_large_fails_alone() {
    run(ALL, Config::SMALL, async |broker, version| {
        for (qos, name) in [(QoS::AtLeastOnce, "one"), (QoS::ExactlyOnce, "two")] {
            let client = Client::connect(options(broker.port(), version, name).keep_session()).await.unwrap();
            let mut stream = client.subscribe(name, qos).await.unwrap();
            let mut good = Vec::new();
            let mut bad = None;
            for number in 0..20 {
                if number == 10 {
                    bad = Some(client.publish(name, vec![b'x'; 5_000]).qos(qos).send().await);
                }
                good.push(client.publish(name, number.to_string()).qos(qos).send().await.unwrap());
            }
            let bad = match bad.unwrap() {
                Ok(receipt) => receipt.await.map(drop),
                Err(error) => Err(error),
            };
            match bad.unwrap_err() {
                // 5.0 has said so before.
                Error::Usage(UsageError::PacketTooLarge { .. }) if version == V5 => {}
                Error::NotDelivered(Outcome::GivenUp) if version != V5 => {}
                other => panic!("{other:?}"),
            }
            for receipt in good {
                receipt.await.unwrap();
            }
            let mut seen = std::collections::BTreeSet::new();
            while seen.len() < 20 {
                seen.insert(next_line(&mut stream).await);
            }
            end(client).await;
        }
    });
}
