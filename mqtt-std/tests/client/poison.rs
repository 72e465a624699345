//! A message that kills every connection fails alone.

use mqtt_core::AckKind;
use mqtt_std::{Client, Error, Outcome, QoS, ReasonCode, Receipt};

use super::support::*;

/// A broker that closes when it sees what is poisonous, and answers nothing that came before it in the same connection unless
/// it came alone.
async fn serve(peer: &Peer, present: bool, is_poison: impl Fn(&str) -> bool) {
    loop {
        let mut link = peer.welcome(present).await;
        loop {
            let line = link.receive().await;
            if is_poison(&line) || line == "closed" || line == "reset" {
                break;
            }
            // What comes right behind may be the poison: it dies before the answer leaves.
            others().await;
            let number = if line.contains('#') { peer::number(&line) } else { 0 };
            match line.split(' ').next().unwrap() {
                "PUBLISH" if line.contains(" q1 ") => link.ack(AckKind::Puback, number, ReasonCode::SUCCESS).await,
                "PUBLISH" if line.contains(" q2 ") => link.ack(AckKind::Pubrec, number, ReasonCode::SUCCESS).await,
                "PUBREL" => link.ack(AckKind::Pubcomp, number, ReasonCode::SUCCESS).await,
                "SUBSCRIBE" => link.suback(number, &[1]).await,
                "PINGREQ" => link.send(&mqtt_core::Packet::Pingresp).await,
                "DISCONNECT" => return,
                _ => {}
            }
        }
    }
}

async fn send(client: &Client, payload: &str, qos: QoS) -> Receipt {
    client.publish("t", payload.to_owned()).qos(qos).send().await.unwrap()
}

#[test]
fn all_others_go_on() {
    // trap R4
    run(async || {
        for version in BOTH {
            for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
                for present in [true, false] {
                    // Without a session QoS 2 has an end of its own: it is not sent again.
                    if !present && qos == QoS::ExactlyOnce {
                        continue;
                    }
                    let peer = Peer::new(version).await;
                    let options = peer.options().suspect_after(3);
                    let options = if present { options.keep_session() } else { options };
                    let client = Client::connect_retrying(options).unwrap();
                    let mut good = Vec::new();
                    good.push(send(&client, "before", qos).await);
                    let poison = send(&client, "poison", qos).await;
                    for number in 0..5 {
                        good.push(send(&client, &format!("after {number}"), qos).await);
                    }
                    let late = client.publish("t", "at most once").send().await.unwrap();
                    let outcomes = async {
                        assert!(matches!(poison.await, Err(Error::NotDelivered(Outcome::GivenUp))));
                        for receipt in good {
                            receipt.await.unwrap();
                        }
                        late.await.unwrap();
                        // Also afterwards, all at once.
                        let new = [send(&client, "new", qos).await, send(&client, "newer", qos).await];
                        for receipt in new {
                            receipt.await.unwrap();
                        }
                    };
                    tokio::select! {
                        () = outcomes => {}
                        () = serve(&peer, present, |line| line.contains("poison")) => panic!("over"),
                    }
                    let connections = client.statistics().connections;
                    assert!((6..=7).contains(&connections), "{version:?} {qos:?} {present}: {connections}");
                }
            }
        }
    });
}

#[test]
fn a_subscription_fails_alone_too() {
    run(async || {
        for version in BOTH {
            let peer = Peer::new(version).await;
            let client = Client::connect_retrying(peer.options().suspect_after(2).keep_session()).unwrap();
            let all = async {
                let (poison, good, receipt) = tokio::join!(
                    client.subscribe("poison", QoS::AtLeastOnce).into_future(),
                    client.subscribe("good", QoS::AtLeastOnce).into_future(),
                    client.publish("t", "x").qos(QoS::AtLeastOnce).into_future(),
                );
                assert!(matches!(poison, Err(Error::NotDelivered(Outcome::GivenUp))), "{poison:?}");
                assert_eq!(good.unwrap().granted().len(), 1);
                receipt.unwrap();
            };
            tokio::select! {
                () = all => {}
                () = serve(&peer, true, |line| line.contains("poison")) => panic!("over"),
            }
        }
    });
}

#[test]
fn a_renewal_that_kills_every_connection_ends_its_stream_only() {
    run(async || {
        for version in BOTH {
            let poisonous = core::cell::Cell::new(false);
            let peer = Peer::new(version).await;
            let client = Client::connect_retrying(peer.options().suspect_after(2)).unwrap();
            let all = async {
                let mut bad = client.subscribe("bad", QoS::AtLeastOnce).await.unwrap();
                let _good = client.subscribe("good", QoS::AtLeastOnce).await.unwrap();
                // The broker no longer likes one of them, and knows no session after the connection.
                poisonous.set(true);
                let cut = client.publish("t", "bad, too").qos(QoS::AtLeastOnce).await;
                assert!(matches!(cut, Err(Error::NotDelivered(Outcome::GivenUp))), "{cut:?}");
                assert!(bad.next().await.is_none());
                client.publish("t", "x").qos(QoS::AtLeastOnce).await.unwrap();
            };
            tokio::select! {
                () = all => {}
                () = serve(&peer, false, |line| poisonous.get() && line.contains("bad")) => panic!("over"),
            }
            // Two until there is a suspicion, two for each of both, and the one that lives.
            assert_eq!(client.statistics().connections, 2 + 2 + 2 + 1, "{version:?}");
        }
    });
}

#[test]
fn nothing_is_suspected_where_that_is_switched_off() {
    run(async || {
        let peer = Peer::new(V5).await;
        let client = Client::connect_retrying(peer.options().suspect_after(0).keep_session()).unwrap();
        let mut receipt = send(&client, "poison", QoS::AtLeastOnce).await;
        let many = until(|| client.statistics().connections == 30);
        tokio::select! {
            () = many => {}
            () = serve(&peer, true, |line| line.contains("poison")) => panic!("over"),
        }
        assert!(poll(&mut receipt).is_pending());
    });
}
