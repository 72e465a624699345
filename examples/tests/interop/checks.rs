//! What a client of the library does with the broker.

use std::collections::BTreeSet;
use std::time::Duration;

use mqtt_std::{Backoff, Cause, Client, Delivered, Error, Outcome, ProtocolVersion, QoS, Status, Subscription, Will};
use tokio::time::{sleep, timeout};

use crate::guest::{Guest, Lacks, block_on};
use crate::waiting::{Cable, PATIENCE, is_connected, next, status};

type Checked = Result<(), Lacks>;

/// How long something must not come.
const MOMENT: Duration = Duration::from_millis(1_500);

/// The version that the client finds out by itself.
pub(crate) fn connect_falling_back(guest: &mut Guest) -> Checked {
    block_on(async {
        let client = guest.connect("client").await;
        match *client.status().borrow() {
            Status::Connected { version: ProtocolVersion::V5_0, .. } => {}
            Status::Connected { version, .. } => guest.note(format!("5.0 is refused, {version:?} is spoken")),
            ref other => panic!("{other:?}"),
        }
        guest.end(client).await;
        Ok(())
    })
}

pub(crate) fn connect(guest: &mut Guest) -> Checked {
    block_on(async {
        let client = guest.connect("client").await;
        let now = client.status().borrow().clone();
        let Status::Connected { session_present, accepted, .. } = now else { panic!("{now:?}") };
        assert!(!session_present, "a session of a client that was never there");
        if let Some(seconds) = accepted.server_keep_alive {
            guest.note(format!("its keep-alive, {seconds} s"));
        }
        guest.end(client).await;
        Ok(())
    })
}

pub(crate) fn without_identifier(guest: &mut Guest) -> Checked {
    block_on(async {
        let client = Client::connect(guest.options("").client_identifier("")).await?;
        client.publish(guest.topic("a"), "x").qos(QoS::AtLeastOnce).await?;
        guest.end(client).await;
        Ok(())
    })
}

pub(crate) fn at_most_once(guest: &mut Guest) -> Checked {
    block_on(publish(guest, QoS::AtMostOnce))
}

pub(crate) fn at_least_once(guest: &mut Guest) -> Checked {
    block_on(publish(guest, QoS::AtLeastOnce))
}

pub(crate) fn exactly_once(guest: &mut Guest) -> Checked {
    block_on(publish(guest, QoS::ExactlyOnce))
}

/// Fifty messages arrive, each once and in order; receipts tell what is true.
async fn publish(guest: &mut Guest, qos: QoS) -> Checked {
    let (publisher, subscriber) = (guest.connect("publisher").await, guest.connect("subscriber").await);
    let topic = guest.topic("t");
    let mut stream = subscriber.subscribe(&topic, qos).await?;
    for number in 0..50 {
        let delivered = publisher.publish(&topic, number.to_string()).qos(qos).await?;
        assert_eq!(delivered == Delivered::Sent, qos == QoS::AtMostOnce, "{delivered:?} at {qos:?}");
    }
    for number in 0..50 {
        let message = next(&mut stream).await;
        assert_eq!(message.payload_str(), Ok(number.to_string().as_str()));
        if message.qos() != qos {
            guest.note(format!("arrives at QoS {}", message.qos() as u8));
        }
    }
    nothing_more(&mut stream).await;
    guest.end(publisher).await;
    guest.end(subscriber).await;
    Ok(())
}

async fn nothing_more(stream: &mut Subscription) {
    assert!(timeout(MOMENT, stream.next()).await.is_err(), "a message that nobody expects");
}

pub(crate) fn retained(guest: &mut Guest) -> Checked {
    let filter = guest.topic("lamp/1");
    block_on(retain(guest, &filter))
}

pub(crate) fn retained_by_wildcard(guest: &mut Guest) -> Checked {
    let filter = guest.topic("lamp/+");
    block_on(retain(guest, &filter))
}

/// A latecomer gets what is kept, until an empty message removes it.
async fn retain(guest: &mut Guest, filter: &str) -> Checked {
    let topic = guest.topic("lamp/1");
    let (early, late) = (guest.connect("early").await, guest.connect("late").await);
    early.publish(&topic, "on").qos(QoS::AtLeastOnce).retain().await?;
    let mut kept = late.subscribe(filter, QoS::AtLeastOnce).await?;
    let message = timeout(PATIENCE / 4, kept.next()).await;
    // Removed before anything else can go wrong.
    early.publish(&topic, "").qos(QoS::AtLeastOnce).retain().await?;
    let Ok(message) = message else {
        let alive = next(&mut kept).await;
        assert_eq!(alive.topic(), topic, "the subscription itself works");
        return Err(Lacks("what is kept does not come".to_owned()));
    };
    let message = message.expect("the client lives");
    assert_eq!((message.topic(), message.payload_str()), (topic.as_str(), Ok("on")));
    if !message.retain() {
        guest.note("comes without RETAIN");
    }
    assert!(next(&mut kept).await.payload().is_empty(), "the removal is a message, too");
    drop(kept);
    let mut nothing = late.subscribe(filter, QoS::AtLeastOnce).await?;
    nothing_more(&mut nothing).await;
    guest.end(early).await;
    guest.end(late).await;
    Ok(())
}

pub(crate) fn wildcards(guest: &mut Guest) -> Checked {
    block_on(async {
        let client = guest.connect("client").await;
        let mut level = client.subscribe(guest.topic("+/state"), QoS::AtLeastOnce).await?;
        let mut all = client.subscribe(guest.topic("deep/#"), QoS::AtLeastOnce).await?;
        for topic in ["one/state", "one/other", "deep", "deep/a", "deep/a/b/c", "deeper/a", "two/state", "deep/end"] {
            client.publish(guest.topic(topic), "x").qos(QoS::AtLeastOnce).await?;
        }
        for topic in ["one/state", "two/state"] {
            assert_eq!(next(&mut level).await.topic(), guest.topic(topic));
        }
        for topic in ["deep", "deep/a", "deep/a/b/c", "deep/end"] {
            assert_eq!(next(&mut all).await.topic(), guest.topic(topic));
        }
        guest.end(client).await;
        Ok(())
    })
}

pub(crate) fn shared(guest: &mut Guest) -> Checked {
    block_on(async {
        let group = format!("$share/workers/{}", guest.topic("job/+"));
        let publisher = guest.connect("publisher").await;
        let (first, second) = (guest.connect("first").await, guest.connect("second").await);
        // Some brokers close the connection.
        let one = async { first.subscribe(&group, QoS::AtLeastOnce).await };
        let Ok(one) = timeout(PATIENCE / 4, one).await else {
            return Err(Lacks(format!("no answer to SUBSCRIBE, {} connections lost", first.statistics().losses)));
        };
        if let Err(Error::NotDelivered(Outcome::GivenUp)) = one {
            // The client has found out what kills its connections, and goes on without it.
            first.publish(guest.topic("t"), "x").qos(QoS::AtLeastOnce).await?;
            return Err(Lacks(format!("SUBSCRIBE ends the connection, {} times; given up", first.statistics().losses)));
        }
        let (mut one, mut two) = (one?, second.subscribe(&group, QoS::AtLeastOnce).await?);
        for number in 0..20 {
            publisher.publish(guest.topic(&format!("job/{number}")), "").qos(QoS::AtLeastOnce).await?;
        }
        let mut done = BTreeSet::new();
        let mut by = [0, 0];
        while done.len() < 20 {
            let come = async {
                tokio::select! {
                    message = next(&mut one) => (0, message),
                    message = next(&mut two) => (1, message),
                }
            };
            let Ok((member, message)) = timeout(PATIENCE / 4, come).await else {
                assert!(done.is_empty(), "{} of 20 come", done.len());
                return Err(Lacks("granted, and nothing comes".to_owned()));
            };
            by[member] += 1;
            assert!(done.insert(message.topic().to_owned()), "{} was done twice", message.topic());
        }
        if by.contains(&0) {
            guest.note(format!("shared unevenly, {} to {}", by[0], by[1]));
        }
        for client in [publisher, first, second] {
            guest.end(client).await;
        }
        Ok(())
    })
}

pub(crate) fn large(guest: &mut Guest) -> Checked {
    block_on(async {
        let client = guest.connect("client").await;
        let topic = guest.topic("large");
        let payload: Vec<u8> = (0_u32..256 * 1024).map(|at| (at % 251) as u8).collect();
        let mut stream = client.subscribe(&topic, QoS::AtLeastOnce).await?;
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
            client.publish(&topic, payload.clone()).qos(qos).await?;
            assert!(next(&mut stream).await.payload() == payload, "another payload at {qos:?}");
        }
        guest.end(client).await;
        Ok(())
    })
}

pub(crate) fn will(guest: &mut Guest) -> Checked {
    block_on(async {
        let topic = guest.topic("status");
        let observer = guest.connect("observer").await;
        let mut seen = observer.subscribe(&topic, QoS::AtLeastOnce).await?;
        let cable = Cable::to(guest.server().port()).await;
        let options = guest.options_through(cable.port(), "device");
        let device = Client::connect(options.will(Will::new(&topic, "offline").qos(QoS::AtLeastOnce))).await.unwrap();
        device.publish(&topic, "online").qos(QoS::AtLeastOnce).await?;
        assert_eq!(next(&mut seen).await.payload_str(), Ok("online"));
        cable.cut();
        assert_eq!(next(&mut seen).await.payload_str(), Ok("offline"));
        cable.mend();
        status(&device, is_connected).await;
        // Who says goodbye leaves none.
        guest.end(device).await;
        nothing_more(&mut seen).await;
        guest.end(observer).await;
        Ok(())
    })
}

pub(crate) fn takeover(guest: &mut Guest) -> Checked {
    block_on(async {
        let slow = Backoff::new().minimum(3_600_000);
        let first = Client::connect(guest.options("client").backoff(slow)).await.unwrap();
        let second = guest.connect("client").await;
        match status(&first, |status| !is_connected(status)).await {
            Status::Waiting { error: Cause::TakenOver { .. }, .. } => {}
            Status::Waiting { error: Cause::ConnectionLost | Cause::Transport(_), .. } => {
                if guest.version().is_v5() {
                    guest.note("the first one is not told why");
                }
            }
            other => panic!("{other:?}"),
        }
        second.publish(guest.topic("t"), "x").qos(QoS::AtLeastOnce).await?;
        assert_eq!(second.statistics().losses, 0, "the second one stays");
        guest.end(second).await;
        Ok(())
    })
}

/// Nothing is said for longer than a broker waits, but for pings.
pub(crate) fn keep_alive(guest: &mut Guest) -> Checked {
    block_on(async {
        let client = Client::connect(guest.options("client").keep_alive(2)).await.unwrap();
        sleep(Duration::from_secs(7)).await;
        let losses = client.statistics().losses;
        assert_eq!(losses, 0, "connections lost");
        client.publish(guest.topic("t"), "x").qos(QoS::AtLeastOnce).await?;
        guest.end(client).await;
        Ok(())
    })
}

/// What was published while the link was cut arrives when it is mended.
pub(crate) fn kept_session(guest: &mut Guest) -> Checked {
    let highest = if guest.takes_qos_2() { QoS::ExactlyOnce } else { QoS::AtLeastOnce };
    block_on(async {
        let publisher = guest.connect("publisher").await;
        let cable = Cable::to(guest.server().port()).await;
        let options = || guest.options_through(cable.port(), "subscriber");
        let subscriber = Client::connect(options().keep_session()).await.unwrap();
        let mut stream = subscriber.subscribe(guest.topic("#"), QoS::ExactlyOnce).await?;
        // Without an acknowledgement: one that the cut swallows would bring it again.
        publisher.publish(guest.topic("before"), "x").await?;
        assert_eq!(next(&mut stream).await.topic(), guest.topic("before"));
        cable.cut();
        status(&subscriber, |status| !is_connected(status)).await;
        let mut expected = Vec::new();
        for number in 0..20 {
            let qos = if number % 2 == 0 { QoS::AtLeastOnce } else { highest };
            publisher.publish(guest.topic("away"), number.to_string()).qos(qos).await?;
            expected.push(number.to_string());
        }
        cable.mend();
        let connected = status(&subscriber, is_connected).await;
        assert!(matches!(connected, Status::Connected { session_present: true, .. }), "{connected:?}");
        let odd = collect(&mut stream, &expected, &[]).await;
        let renew = options().clean_start(mqtt_std::CleanStart::Always);
        guest.end(subscriber).await;
        // The broker forgets the session.
        let last = Client::connect(renew).await.unwrap();
        odd.note(guest);
        guest.end(last).await;
        guest.end(publisher).await;
        Ok(())
    })
}

/// What is oddly delivered, of messages all of which arrive.
#[derive(Default)]
struct Odd {
    reordered: bool,
    repeated: u32,
}

impl Odd {
    fn note(&self, guest: &mut Guest) {
        if self.reordered {
            guest.note("in another order");
        }
        if self.repeated > 0 {
            guest.note(format!("{} of them again", self.repeated));
        }
    }
}

/// Reads until all that is expected has come; what comes at QoS 2 comes once. What is unknown may come.
async fn collect(stream: &mut Subscription, expected: &[String], unknown: &[String]) -> Odd {
    let (mut come, mut odd) = (Vec::<String>::new(), Odd::default());
    while come.len() < expected.len() {
        let message = next(stream).await;
        let (qos, message) = (message.qos(), message.payload_str().unwrap().to_owned());
        if unknown.contains(&message) {
            continue;
        }
        assert!(expected.contains(&message), "nobody has published {message}");
        if come.contains(&message) {
            assert_ne!(qos, QoS::ExactlyOnce, "{message} comes again");
            odd.repeated += 1;
        } else {
            come.push(message);
        }
    }
    odd.reordered = come != expected;
    odd
}

/// Receipts of what is published while the link is cut tell nothing before it is mended, and then the truth.
pub(crate) fn receipts_across_a_cut(guest: &mut Guest) -> Checked {
    let qos = if guest.takes_qos_2() { QoS::ExactlyOnce } else { QoS::AtLeastOnce };
    block_on(async {
        let observer = guest.connect("observer").await;
        let mut seen = observer.subscribe(guest.topic("t"), qos).await?;
        let cable = Cable::to(guest.server().port()).await;
        let options = guest.options_through(cable.port(), "publisher").keep_session();
        let publisher = Client::connect(options).await.unwrap();
        let (mut receipts, mut expected) = (Vec::new(), Vec::new());
        for number in 0..40 {
            if number == 10 {
                cable.cut();
            } else if number == 30 {
                cable.mend();
            }
            receipts.push(publisher.publish(guest.topic("t"), number.to_string()).qos(qos).send().await?);
            expected.push(number.to_string());
        }
        let mut unknown = Vec::new();
        for (receipt, text) in receipts.into_iter().zip(&expected) {
            match receipt.await {
                Ok(Delivered::Acknowledged(_)) => {}
                // What was under way when the broker forgot the session: it may have arrived, and is not sent again at QoS 2.
                Err(Error::NotDelivered(Outcome::Unknown)) => unknown.push(text.clone()),
                other => panic!("{other:?}"),
            }
        }
        if !unknown.is_empty() {
            let now = publisher.status().borrow().clone();
            assert!(matches!(now, Status::Connected { session_present: false, .. }), "{unknown:?} unknown, {now:?}");
            guest
                .note("the session is forgotten, and receipts of what was under way say that its outcome is not known");
        }
        expected.retain(|text| !unknown.contains(text));
        let odd = collect(&mut seen, &expected, &unknown).await;
        odd.note(guest);
        guest.end(publisher).await;
        guest.end(observer).await;
        Ok(())
    })
}
