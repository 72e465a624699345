//! Enhanced authentication on a connection: what the server says goes to the application's code, what that says to the server.
//!
//! That code runs on the driver's task, but without the lock, and its panics are contained.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::Arc;

use bytes::Bytes;
use mqtt_core::{Input, Packet, PacketType, Properties, Property, ProtocolVersion, ReasonCode, Sender};
use tokio::time::Instant;

use crate::authentication::{Authenticator, Conversation};
use crate::contain::{Contained, contain};
use crate::error::ProviderError;

/// A conversation, and where it stands.
pub(super) struct Talk {
    authenticator: Arc<dyn Authenticator>,
    method: Box<str>,
    /// Not while it is asked.
    conversation: Option<Box<dyn Conversation>>,
    asked: Option<(Contained<Asked>, Question)>,
    /// Until when the server may take for its next word in a re-authentication.
    pub(super) until: Option<Instant>,
    /// What CONNACK says is good.
    approved: bool,
    /// A re-authentication is under way.
    pub(super) renewing: bool,
}

type Asked = Pin<Box<dyn Future<Output = (Box<dyn Conversation>, Result<Bytes, ProviderError>)> + Send>>;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Question {
    Start,
    Answer,
    Finish,
}

/// What the application's code has said.
pub(super) enum Word {
    /// To begin a re-authentication.
    Start(Bytes),
    /// To be answered.
    Answer(Bytes),
    /// The server is the right one.
    Approved,
}

impl Talk {
    /// Begins one for CONNECT; returns its first word.
    pub(super) async fn begin(authenticator: Arc<dyn Authenticator>) -> Result<(Self, Bytes), ProviderError> {
        let method = contain(|| authenticator.method().into()).map_err(ProviderError::new)?;
        let mut talk = Self {
            authenticator,
            method,
            conversation: None,
            asked: None,
            until: None,
            approved: false,
            renewing: false,
        };
        talk.ask_for_start()?;
        let word = core::future::poll_fn(|cx| talk.poll(cx)).await?;
        match word {
            Word::Start(data) => Ok((talk, data)),
            Word::Answer(_) | Word::Approved => Err(ProviderError::new("out of turn")),
        }
    }

    /// Begins a re-authentication.
    pub(super) fn begin_again(&mut self, until: Instant) -> Result<(), ProviderError> {
        self.renewing = true;
        self.until = Some(until);
        self.ask_for_start()
    }

    fn ask_for_start(&mut self) -> Result<(), ProviderError> {
        let conversation = contain(|| self.authenticator.begin()).map_err(ProviderError::new)?;
        self.conversation = Some(conversation);
        self.ask(Question::Start, Bytes::new());
        Ok(())
    }

    fn ask(&mut self, question: Question, data: Bytes) {
        let Some(mut conversation) = self.conversation.take() else { return };
        let asked: Asked = Box::pin(async move {
            let said = match question {
                Question::Start => conversation.start().await,
                Question::Answer => conversation.answer(data).await,
                Question::Finish => conversation.finish(data).await.map(|()| Bytes::new()),
            };
            (conversation, said.map_err(ProviderError::new))
        });
        self.asked = Some((Contained::new(asked), question));
    }

    /// Its next word, once it is asked for one.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Word, ProviderError>> {
        let Some((asked, question)) = &mut self.asked else { return Poll::Pending };
        let question = *question;
        let answer = core::task::ready!(Pin::new(asked).poll(cx));
        self.asked = None;
        let said = answer.map_err(ProviderError::new).and_then(|(conversation, said)| {
            self.conversation = Some(conversation);
            said
        });
        Poll::Ready(said.map(|data| match question {
            Question::Start => Word::Start(data),
            Question::Answer => Word::Answer(data),
            Question::Finish => {
                self.approved = true;
                self.until = None;
                self.renewing = false;
                Word::Approved
            }
        }))
    }

    /// Looks at what arrives before the machine does; tells whether it has to wait. What would make the connection stand is
    /// judged first.
    pub(super) fn holds(&mut self, input: &Input<'_>, connected: bool) -> bool {
        let Input::Packet(bytes) = input else { return false };
        let accepts = !connected && bytes.first() == Some(&CONNACK);
        if self.asked.is_some() {
            return accepts || bytes.first() == Some(&AUTH);
        }
        if !accepts || self.approved {
            return false;
        }
        match Packet::decode(ProtocolVersion::V5_0, Sender::Server, bytes) {
            Ok(Packet::Connack(connack)) if connack.reason_code == ReasonCode::SUCCESS => {
                self.ask(Question::Finish, data(connack.properties));
                true
            }
            // The machine says what is wrong with it.
            _ => false,
        }
    }

    /// The server has said something.
    pub(super) fn hear(&mut self, reason_code: ReasonCode, properties: Properties<'_>) {
        let more = reason_code == ReasonCode::CONTINUE_AUTHENTICATION;
        self.ask(if more { Question::Answer } else { Question::Finish }, data(properties));
    }

    /// What CONNECT and AUTH have of it.
    pub(super) fn properties<'a>(&'a self, data: &'a Bytes) -> Vec<Property<'a>> {
        let data = (!data.is_empty()).then_some(Property::AuthenticationData(data));
        core::iter::once(Property::AuthenticationMethod(&self.method)).chain(data).collect()
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        let conversation = self.conversation.take();
        let _ = contain(|| drop(conversation));
    }
}

const CONNACK: u8 = (PacketType::Connack as u8) << 4;
const AUTH: u8 = (PacketType::Auth as u8) << 4;

fn data(properties: Properties<'_>) -> Bytes {
    let found = properties.iter().find_map(|property| match property {
        Property::AuthenticationData(data) => Some(Bytes::copy_from_slice(data)),
        _ => None,
    });
    found.unwrap_or_default()
}
