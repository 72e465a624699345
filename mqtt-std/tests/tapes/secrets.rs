//! What is not on a tape.

use bytes::Bytes;
use mqtt_core::{AckKind, Packet, Properties, Property, Publish, TopicName};
use mqtt_std::authentication::{Authenticator, Conversation, Judging, Saying};
use mqtt_std::tape::Redact;
use mqtt_std::testkit::{Expect, Network, Script};
use mqtt_std::{Client, Options, QoS, Will};
use tokio::time::timeout;

use super::film::Film;
use super::support::{PATIENCE, V5, next};

/// Says a word that is a secret.
struct Proof;

impl Authenticator for Proof {
    fn method(&self) -> &'static str {
        "PROOF"
    }

    fn begin(&self) -> Box<dyn Conversation> {
        Box::new(Self)
    }
}

impl Conversation for Proof {
    fn start(&mut self) -> Saying<'_> {
        Box::pin(async { Ok(Bytes::from_static(b"the-proof")) })
    }

    fn answer(&mut self, _: Bytes) -> Saying<'_> {
        Box::pin(async { Ok(Bytes::from_static(b"the-proof")) })
    }

    fn finish(&mut self, _: Bytes) -> Judging<'_> {
        Box::pin(async { Ok(()) })
    }
}

/// Leaves something out.
type Chosen = fn(Redact) -> Redact;

/// Texts, and what they are left out with; `None`: they are secrets.
const TEXTS: [(&str, Option<Chosen>); 13] = [
    ("the-password", None),
    ("the-proof", None),
    ("the-server-proof", None),
    ("the-payload", Some(Redact::payloads)),
    ("the-will", Some(Redact::payloads)),
    ("the-correlation", Some(Redact::payloads)),
    ("alice", Some(Redact::user_names)),
    ("cellar/pump", Some(Redact::topics)),
    ("cellar/answers", Some(Redact::topics)),
    ("cellar/gone", Some(Redact::topics)),
    ("the-name", Some(Redact::user_properties)),
    ("the-value", Some(Redact::user_properties)),
    ("the-reason", Some(Redact::reason_strings)),
];

/// One conversation with all of them.
async fn talk(redact: Redact) -> Vec<u8> {
    let (film, network) = (Film::new().redact(redact), Network::new());
    let proof = [Property::AuthenticationMethod("PROOF"), Property::AuthenticationData(b"the-server-proof")];
    let message = Publish {
        topic: Some(TopicName::new("cellar/pump").unwrap()),
        delivery: mqtt_core::Delivery::AtMostOnce,
        retain: false,
        properties: Properties::new(&[
            Property::UserProperty("the-name", "the-value"),
            Property::ResponseTopic("cellar/answers"),
            Property::CorrelationData(b"the-correlation"),
        ]),
        payload: b"the-payload",
    };
    let puback = mqtt_core::Ack {
        properties: Properties::new(&[Property::ReasonString("the-reason")]),
        ..mqtt_core::Ack::new(AckKind::Puback, mqtt_core::PacketIdentifier::new(2).unwrap())
    };
    let playing = Script::new(V5)
        .expect(Expect::connect())
        .send(&Packet::Connack(mqtt_core::Connack {
            session_present: false,
            reason_code: mqtt_std::ReasonCode::SUCCESS,
            properties: Properties::new(&proof),
        }))
        .expect(Expect::subscribe("cellar/pump"))
        .answer()
        .send(&Packet::Publish(message))
        .expect(Expect::publish("cellar/pump"))
        .send(&Packet::Ack(puback))
        .start(&network);
    let options = Options::new("memory", 1883)
        .connector(network.clone())
        .version(V5)
        .client_identifier("client")
        .user_name("alice")
        .password("the-password")
        .authenticator(Proof)
        .user_property("the-name", "the-value")
        .will(Will::new("cellar/gone", "the-will"))
        .tape(&film.tape);
    let client = Client::connect(options).await.unwrap();
    let mut stream = client.subscribe("cellar/pump", QoS::AtMostOnce).await.unwrap();
    next(&mut stream).await;
    let publish = client.publish("cellar/pump", "the-payload").qos(QoS::AtLeastOnce).response_topic("cellar/answers");
    publish.correlation_data(b"the-correlation").user_property("the-name", "the-value").await.unwrap();
    let _conversation = timeout(PATIENCE, playing.and_then()).await.unwrap().unwrap();
    let _ = client.shutdown(core::time::Duration::ZERO).await;
    if redact == Redact::ALL {
        film.keep("kit-redacted-5").await;
    } else {
        film.develop().await;
    }
    film.bytes()
}

fn found(tape: &[u8], text: &str) -> bool {
    tape.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn passwords_and_proofs_are_on_no_tape_unless_it_is_asked_for() {
    let tape = talk(Redact::default()).await;
    for (text, with) in TEXTS {
        assert_eq!(found(&tape, text), with.is_some(), "{text}");
    }
    let tape = talk(Redact::SECRETS.show_secrets()).await;
    for (text, _) in TEXTS {
        assert!(found(&tape, text), "{text}");
    }
}

#[tokio::test]
async fn what_else_is_left_out_is_chosen() {
    for chosen in TEXTS.into_iter().filter_map(|(_, with)| with) {
        let redact = chosen(Redact::SECRETS);
        let tape = talk(redact).await;
        for (text, with) in TEXTS {
            let is_left_out = with.is_none_or(|with| with(redact) == redact);
            assert_eq!(found(&tape, text), !is_left_out, "{text}, {redact:?}");
        }
    }
    let tape = talk(Redact::ALL).await;
    for (text, _) in TEXTS {
        assert!(!found(&tape, text), "{text}");
    }
}
