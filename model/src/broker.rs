//! A broker that keeps to the standard, as a plain model. It reports where the client does not.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::wire::{FromBroker, FromClient, Kind, Message};

/// A message of the broker's whose exchange is not over.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Sent {
    pub id: u16,
    pub qos: u8,
    pub name: u8,
    /// PUBREC has been here.
    pub received: bool,
    /// Its PUBLISH went out on the connection there is: it counts against the client's Receive Maximum.
    pub counts: bool,
}

#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Broker {
    pub connected: bool,
    /// It has a session for the client.
    pub session: bool,
    /// QoS 2 messages of the client's that were not released: identifier and name.
    unreleased: BTreeMap<u16, u8>,
    /// PUBLISHes of this connection without a final answer: what counts against our Receive Maximum.
    unanswered: BTreeSet<u16>,
    /// Identifier and name of every PUBLISH of this session: who sends one again has to say so.
    seen: BTreeSet<(u16, u8)>,
    /// What it handed on, in its order.
    pub published: Vec<u8>,
    /// What it refused.
    pub refused: BTreeSet<u8>,
    /// Its own messages in flight, in their order.
    pub sent: VecDeque<Sent>,
    last: u16,
    /// It has repeated itself on one connection, so it gets answers to what is over.
    rude: bool,
    /// Messages of sessions that are gone: whether they arrived is nobody's fault.
    pub excused: BTreeSet<u8>,
}

impl Broker {
    /// The network connection is gone.
    pub fn cut(&mut self) {
        self.connected = false;
        self.unanswered.clear();
        for sent in &mut self.sent {
            sent.counts = false;
        }
    }

    /// It loses its state of the client.
    pub fn forget(&mut self) {
        self.session = false;
        self.unreleased.clear();
        self.seen.clear();
        self.excused.extend(self.sent.drain(..).map(|sent| sent.name));
        self.last = 0;
    }

    /// Tells whether the client's Receive Maximum leaves room for a new message.
    pub fn may_send(&self, receive_maximum: usize) -> bool {
        self.connected && self.sent.iter().filter(|sent| sent.counts).count() < receive_maximum
    }

    pub fn send(&mut self, name: u8, qos: u8, wire: &mut VecDeque<FromBroker>) {
        // Small numbers, used again as soon as they are free: that is where confusion would show.
        self.last = (1..).find(|id| self.sent.iter().all(|sent| sent.id != *id)).expect("a free one");
        self.sent.push_back(Sent { id: self.last, qos, name, received: false, counts: true });
        wire.push_back(FromBroker::Publish(Message { qos, id: self.last, dup: false, name }));
    }

    /// It sends a packet again that has no answer yet, on the same connection: rude, and borne.
    pub fn repeat(&mut self, index: usize) -> FromBroker {
        self.rude = true;
        let sent = self.sent[index];
        if sent.received {
            FromBroker::Ack(Kind::Pubrel, sent.id, 0)
        } else {
            FromBroker::Publish(Message { qos: sent.qos, id: sent.id, dup: true, name: sent.name })
        }
    }

    /// A packet arrives. With `refuse` a PUBLISH is refused.
    ///
    /// # Errors
    /// The client has broken a rule.
    pub fn take(
        &mut self,
        packet: FromClient,
        refuse: bool,
        receive_maximum: usize,
        wire: &mut VecDeque<FromBroker>,
    ) -> Result<(), &'static str> {
        match packet {
            FromClient::Connect { clean } => self.take_connect(clean, wire),
            FromClient::Disconnect(_) => return Err("the client ends a connection that is in order"),
            _ if !self.connected => return Err("a packet before CONNACK"),
            FromClient::Publish(message) => self.take_publish(message, refuse, receive_maximum, wire)?,
            FromClient::Ack(Kind::Puback, id, _) => self.end(id, 1)?,
            FromClient::Ack(Kind::Pubcomp, id, _) => self.end(id, 2)?,
            FromClient::Ack(Kind::Pubrec, id, 0x80..) => self.refused_by_client(id)?,
            FromClient::Ack(Kind::Pubrec, id, _) => {
                match self.sent.iter_mut().find(|sent| (sent.id, sent.qos) == (id, 2)) {
                    Some(sent) => sent.received = true,
                    None if self.rude => {}
                    None => return Err("PUBREC for nothing"),
                }
                wire.push_back(FromBroker::Ack(Kind::Pubrel, id, 0));
            }
            FromClient::Ack(Kind::Pubrel, id, _) => {
                self.unreleased.remove(&id);
                self.unanswered.remove(&id);
                wire.push_back(FromBroker::Ack(Kind::Pubcomp, id, 0));
            }
            FromClient::Subscribe(id) => {
                if self.unreleased.contains_key(&id) {
                    return Err("the identifier of a SUBSCRIBE is in use");
                }
                wire.push_back(FromBroker::Suback(id));
            }
        }
        Ok(())
    }

    fn take_connect(&mut self, clean: bool, wire: &mut VecDeque<FromBroker>) {
        if clean {
            self.forget();
        }
        wire.push_back(FromBroker::Connack { present: self.session });
        self.session = true;
        self.connected = true;
        for sent in &mut self.sent {
            if sent.received {
                wire.push_back(FromBroker::Ack(Kind::Pubrel, sent.id, 0));
            } else {
                sent.counts = true;
                wire.push_back(FromBroker::Publish(Message { qos: sent.qos, id: sent.id, dup: true, name: sent.name }));
            }
        }
    }

    fn take_publish(
        &mut self,
        message: Message,
        refuse: bool,
        receive_maximum: usize,
        wire: &mut VecDeque<FromBroker>,
    ) -> Result<(), &'static str> {
        let Message { qos, id, dup, name } = message;
        if self.unanswered.contains(&id) {
            return Err("the identifier of a PUBLISH is in use");
        }
        if !self.seen.insert((id, name)) && !dup {
            return Err("a PUBLISH is sent again without DUP");
        }
        if self.unanswered.len() >= receive_maximum {
            return Err("more is in flight than the Receive Maximum allows");
        }
        match (qos, self.unreleased.get(&id)) {
            (2, Some(known)) if *known != name => {
                return Err("the identifier of an unreleased message is used for another");
            }
            (1, Some(_)) => return Err("the identifier of an unreleased message is used at QoS 1"),
            // It is a duplicate.
            (2, Some(_)) => {}
            _ if refuse => {
                self.refused.insert(name);
                self.seen.remove(&(id, name));
                let kind = if qos == 1 { Kind::Puback } else { Kind::Pubrec };
                wire.push_back(FromBroker::Ack(kind, id, 0x97));
                return Ok(());
            }
            _ => self.published.push(name),
        }
        if qos == 1 {
            wire.push_back(FromBroker::Ack(Kind::Puback, id, 0));
        } else {
            self.unanswered.insert(id);
            self.unreleased.insert(id, name);
            wire.push_back(FromBroker::Ack(Kind::Pubrec, id, 0));
        }
        Ok(())
    }

    /// The client has no use for a message: it is gone.
    fn refused_by_client(&mut self, id: u16) -> Result<(), &'static str> {
        let index = self.sent.iter().position(|sent| (sent.id, sent.qos) == (id, 2));
        let gone = self.sent.remove(index.ok_or("PUBREC for nothing")?).ok_or("PUBREC for nothing")?;
        self.excused.insert(gone.name);
        Ok(())
    }

    /// An exchange of the broker's is over.
    fn end(&mut self, id: u16, qos: u8) -> Result<(), &'static str> {
        let index = self.sent.iter().position(|sent| (sent.id, sent.qos) == (id, qos));
        // PUBCOMP may answer a PUBREL that was sent twice.
        let Some(index) = index else { return if qos == 2 { Ok(()) } else { Err("PUBACK for nothing") } };
        if qos == 2 && !self.sent[index].received {
            if self.rude {
                return Ok(());
            }
            return Err("PUBCOMP before PUBREL");
        }
        self.sent.remove(index);
        Ok(())
    }
}
