//! A whole conversation, step by step.

use core::time::Duration;

use mqtt_core::{AckKind, Packet, ProtocolVersion, QoS, ReasonCode};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::conversation::encode;
use super::{Conversation, Expect, Failure, Peer};
use crate::testkit::Network;

/// What a broker expects and what it says, step by step, over one connection or several.
///
/// An expectation that finds no connection waits for the next one. PINGREQ is answered by the way, unless a step expects it.
///
/// ```
/// use mqtt_std::testkit::{Expect, Network, Script};
/// use mqtt_std::{Client, Options, ProtocolVersion, QoS};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let network = Network::new();
/// let broker = Script::new(ProtocolVersion::V5_0)
///     .expect(Expect::connect()).answer()
///     .expect(Expect::subscribe("lamp/cmd")).answer()
///     .publish("lamp/cmd", QoS::AtLeastOnce, "on").expect(Expect::puback())
///     .expect(Expect::publish("lamp/state").payload("on").qos(QoS::AtLeastOnce)).answer()
///     .start(&network);
///
/// // The application.
/// let client = Client::connect(Options::new("anywhere", 1883).connector(network)).await?;
/// let mut commands = client.subscribe("lamp/cmd", QoS::AtLeastOnce).await?;
/// let command = commands.next().await.ok_or("no command")?;
/// client.publish("lamp/state", command.payload().to_vec()).qos(QoS::AtLeastOnce).await?;
///
/// broker.finished().await?; // or: step 7: expected PUBLISH lamp/state "on" q1, got PUBLISH q1 #2 lamp/state "off"
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a script does nothing until it is played"]
pub struct Script {
    version: ProtocolVersion,
    steps: Vec<Step>,
    patience: Duration,
    next_identifier: u16,
}

#[derive(Clone, Debug)]
enum Step {
    Expect(Expect),
    ExpectAll(Vec<Expect>),
    ExpectEnd,
    ExpectNothing(Duration),
    Answer(ReasonCode),
    Connack { session_present: bool },
    Bytes(Result<Vec<u8>, Failure>),
    Publish { topic: String, qos: QoS, number: u16, payload: Vec<u8> },
    Acknowledge(AckKind, u16, ReasonCode),
    Pause(Duration),
    Close,
    Reset,
}

/// How long a step waits by default.
const PATIENCE: Duration = Duration::from_secs(30);

impl Script {
    /// An empty one.
    pub const fn new(version: ProtocolVersion) -> Self {
        Self { version, steps: Vec::new(), patience: PATIENCE, next_identifier: 1 }
    }

    /// How long each expectation waits, on tokio's clock; 30 s by default.
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// The next packet has to be this.
    pub fn expect(self, expect: Expect) -> Self {
        self.step(Step::Expect(expect))
    }

    /// The next packets have to be these, in whatever order; each is answered at once, with success.
    pub fn expect_in_any_order(self, expected: impl IntoIterator<Item = Expect>) -> Self {
        self.step(Step::ExpectAll(expected.into_iter().collect()))
    }

    /// The client closes the connection, and sends nothing before.
    pub fn expect_end(self) -> Self {
        self.step(Step::ExpectEnd)
    }

    /// Nothing comes for so long, pings excepted.
    pub fn expect_nothing_for(self, time: Duration) -> Self {
        self.step(Step::ExpectNothing(time))
    }

    /// Answers what was expected last, with success; see [`Conversation::answer`].
    pub fn answer(self) -> Self {
        self.answer_with(ReasonCode::SUCCESS)
    }

    /// Answers what was expected last with this Reason Code; see [`Conversation::answer_with`].
    pub fn answer_with(self, reason_code: ReasonCode) -> Self {
        self.step(Step::Answer(reason_code))
    }

    /// Accepts the connection, and tells whether the session is there.
    pub fn connack(self, session_present: bool) -> Self {
        self.step(Step::Connack { session_present })
    }

    /// Sends a message. Packet Identifiers count from 1, over the whole script.
    pub fn publish(mut self, topic: &str, qos: QoS, payload: impl AsRef<[u8]>) -> Self {
        let number = self.next_identifier;
        if qos != QoS::AtMostOnce {
            self.next_identifier = self.next_identifier.checked_add(1).unwrap_or(1);
        }
        self.step(Step::Publish { topic: topic.to_owned(), qos, number, payload: payload.as_ref().to_vec() })
    }

    /// Sends an acknowledgement that answers nothing, or another one than it should: PUBACK, PUBREC, PUBREL or PUBCOMP with
    /// this Packet Identifier.
    pub fn acknowledge(self, kind: AckKind, number: u16, reason_code: ReasonCode) -> Self {
        self.step(Step::Acknowledge(kind, number, reason_code))
    }

    /// Sends any packet of the core's.
    pub fn send(self, packet: &Packet<'_>) -> Self {
        let bytes = encode(self.version, packet);
        self.step(Step::Bytes(bytes))
    }

    /// Sends any bytes.
    pub fn send_bytes(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.step(Step::Bytes(Ok(bytes.into())))
    }

    /// Waits, without a look at what comes.
    pub fn pause(self, time: Duration) -> Self {
        self.step(Step::Pause(time))
    }

    /// Closes the connection without a word.
    pub fn close(self) -> Self {
        self.step(Step::Close)
    }

    /// Ends the connection such that the client finds it reset.
    pub fn reset(self) -> Self {
        self.step(Step::Reset)
    }

    /// Plays it as the server of a network in memory, in a task of its own.
    #[must_use = "it tells how the script went"]
    pub fn start(self, network: &Network) -> Playing {
        let peer = Peer::in_memory(network, self.version);
        self.start_on(peer)
    }

    /// Plays it in a task of its own.
    #[must_use = "it tells how the script went"]
    pub fn start_on(self, peer: Peer) -> Playing {
        Playing { task: tokio::spawn(async move { self.play(&peer).await }) }
    }

    /// Plays it to its end, and returns the connection that is open then.
    ///
    /// # Errors
    /// A step fails; its number is in the failure.
    pub async fn play(self, peer: &Peer) -> Result<Option<Conversation>, Failure> {
        let Self { steps, patience, .. } = self;
        let mut conversation = None;
        for (index, step) in steps.into_iter().enumerate() {
            let played = play(step, peer, conversation.take(), patience).await;
            conversation = played.map_err(|failure| failure.at_step(index + 1))?;
        }
        Ok(conversation)
    }
}

/// One step, with the connection there is and the one that is left.
async fn play(
    step: Step,
    peer: &Peer,
    open: Option<Conversation>,
    patience: Duration,
) -> Result<Option<Conversation>, Failure> {
    let mut conversation = match open {
        Some(open) => open,
        None => {
            let nobody = |_| Failure::new("a connection", format_args!("none in {patience:?}"));
            timeout(patience, peer.accept()).await.map_err(nobody)??
        }
    };
    match step {
        Step::Expect(expect) => match timeout(patience, conversation.expect_past_pings(&expect)).await {
            Ok(result) => drop(result?),
            Err(_) => return Err(nothing(&conversation, &expect, patience)),
        },
        Step::ExpectAll(mut expected) => {
            while !expected.is_empty() {
                let any = Expect::any_of(&expected);
                match timeout(patience, conversation.expect_past_pings(&any)).await {
                    Ok(result) => {
                        let received = result?;
                        let packet = received.packet()?;
                        let met = expected.iter().position(|expect| expect.is_met_by(&packet));
                        drop(met.map(|index| expected.remove(index)));
                    }
                    Err(_) => return Err(nothing(&conversation, &any, patience)),
                }
                conversation.answer().await?;
            }
        }
        Step::ExpectEnd => match timeout(patience, conversation.expect_end()).await {
            Ok(result) => {
                result?;
                return Ok(None);
            }
            Err(_) => return Err(nothing(&conversation, &"the end of the connection", patience)),
        },
        Step::ExpectNothing(time) => {
            // Nothing is what no packet is.
            let never = Expect::disconnect().matching("that never comes", |_| false);
            match timeout(time, conversation.expect_past_pings(&never)).await {
                Err(_) => {}
                Ok(Err(failure)) => {
                    return Err(Failure::new("nothing", failure.got()).after(conversation.transcript()));
                }
                Ok(Ok(_)) => {}
            }
        }
        Step::Answer(reason_code) => conversation.answer_with(reason_code).await?,
        Step::Connack { session_present } => conversation.connack(session_present, ReasonCode::SUCCESS).await?,
        Step::Bytes(bytes) => conversation.send_bytes(&bytes?).await?,
        Step::Publish { topic, qos, number, payload } => conversation.publish(&topic, qos, number, &payload).await?,
        Step::Acknowledge(kind, number, reason_code) => match mqtt_core::PacketIdentifier::new(number) {
            Some(identifier) => conversation.acknowledge(kind, identifier, reason_code).await?,
            None => return Err(Failure::new("to acknowledge", "number 0")),
        },
        Step::Pause(time) => sleep(time).await,
        Step::Close => return Ok(None),
        Step::Reset => {
            conversation.reset();
            return Ok(None);
        }
    }
    Ok(Some(conversation))
}

fn nothing(conversation: &Conversation, expected: &dyn core::fmt::Display, patience: Duration) -> Failure {
    Failure::new(expected, format_args!("nothing in {patience:?}")).after(conversation.transcript())
}

/// A script that is being played. Dropped, it goes on by itself.
#[derive(Debug)]
pub struct Playing {
    task: JoinHandle<Result<Option<Conversation>, Failure>>,
}

impl Playing {
    /// Waits until it has been played to its end, and closes the connection that is open then.
    ///
    /// # Errors
    /// A step failed; its number is in the failure.
    pub async fn finished(self) -> Result<(), Failure> {
        self.and_then().await.map(drop)
    }

    /// Waits until it has been played to its end, and returns the connection that is open then, to go on with.
    ///
    /// # Errors
    /// A step failed; its number is in the failure.
    pub async fn and_then(self) -> Result<Option<Conversation>, Failure> {
        self.task.await.unwrap_or_else(|error| Err(Failure::new("a script", error)))
    }
}
