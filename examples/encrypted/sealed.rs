//! Payloads that only those read, and make, who have the key.
//!
//! ```text
//!  1        4 bytes   24 bytes                      as many as the text has, and 16
//! +---------+--------+--------------+--------------+---------------------------------+
//! | version | key id | sender (16)  | counter (8)  | ciphertext and tag              |
//! +---------+--------+--------------+--------------+---------------------------------+
//!                     the nonce
//! ```

use std::collections::HashMap;
use std::fmt;

use chacha20poly1305::aead::{Aead as _, Generate as _, Payload};
use chacha20poly1305::{Key, KeyInit as _, XChaCha20Poly1305, XNonce};
use sha2::{Digest as _, Sha256};

const VERSION: u8 = 1;
const SENDER: usize = 16;
const HEAD: usize = 1 + 4 + SENDER + 8;

/// So many senders are remembered; of one more than that nothing is taken.
const SENDERS: usize = 1_000;

/// A secret that both sides have.
pub struct Secret {
    cipher: XChaCha20Poly1305,
    id: [u8; 4],
}

impl Secret {
    /// A new one, as 32 bytes.
    pub fn generate() -> [u8; 32] {
        Key::generate().into()
    }

    pub fn new(key: [u8; 32]) -> Self {
        let hash = Sha256::new().chain_update("key id").chain_update(key).finalize();
        Self { cipher: XChaCha20Poly1305::new(&Key::from(key)), id: [hash[0], hash[1], hash[2], hash[3]] }
    }

    fn seal(&self, topic: &str, nonce: [u8; 24], text: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(HEAD + text.len() + 16);
        sealed.push(VERSION);
        sealed.extend(self.id);
        sealed.extend(nonce);
        let bound = bound(&sealed, topic);
        let ciphertext = self.cipher.encrypt(&XNonce::from(nonce), Payload { msg: text, aad: &bound });
        // It fails for texts of more than 256 GiB.
        sealed.extend(ciphertext.unwrap_or_default());
        sealed
    }

    fn open(&self, topic: &str, sealed: &[u8]) -> Result<([u8; 24], Vec<u8>), NotOpened> {
        let (head, ciphertext) = sealed.split_at_checked(HEAD).ok_or(NotOpened::NotSealed)?;
        if head[0] != VERSION {
            return Err(NotOpened::NotSealed);
        }
        if head[1..5] != self.id {
            return Err(NotOpened::AnotherKey);
        }
        let nonce: [u8; 24] = head[5..].try_into().map_err(|_| NotOpened::NotSealed)?;
        let payload = Payload { msg: ciphertext, aad: &bound(head, topic) };
        let text = self.cipher.decrypt(&XNonce::from(nonce), payload).map_err(|_| NotOpened::Forged)?;
        Ok((nonce, text))
    }
}

/// What is not secret, but must be as it was: the head, and the topic. A message that is moved to another topic cannot be opened there.
fn bound(head: &[u8], topic: &str) -> Vec<u8> {
    [head, topic.as_bytes()].concat()
}

/// Seals what one program sends. Its name is random, and its messages are counted: so no nonce comes twice.
pub struct Sealer {
    secret: Secret,
    sender: [u8; SENDER],
    counter: u64,
}

impl Sealer {
    pub fn new(secret: Secret) -> Self {
        let mut sender = [0; SENDER];
        sender.copy_from_slice(&XNonce::generate()[..SENDER]);
        Self { secret, sender, counter: 0 }
    }

    pub fn seal(&mut self, topic: &str, text: &[u8]) -> Vec<u8> {
        self.counter += 1;
        let mut nonce = [0; 24];
        nonce[..SENDER].copy_from_slice(&self.sender);
        nonce[SENDER..].copy_from_slice(&self.counter.to_be_bytes());
        self.secret.seal(topic, nonce, text)
    }
}

/// Opens what others have sealed, each message once.
///
/// It knows the latest message of each sender for as long as it lives. What was recorded and is sent again after a restart of the receiver
/// is taken again: who must not do that keeps these numbers, or refuses messages that are old, by a time within the text.
pub struct Opener {
    secret: Secret,
    latest: HashMap<[u8; SENDER], u64>,
}

impl Opener {
    pub fn new(secret: Secret) -> Self {
        Self { secret, latest: HashMap::new() }
    }

    pub fn open(&mut self, topic: &str, sealed: &[u8]) -> Result<Vec<u8>, NotOpened> {
        let (nonce, text) = self.secret.open(topic, sealed)?;
        let (mut sender, mut counter) = ([0; SENDER], [0; 8]);
        sender.copy_from_slice(&nonce[..SENDER]);
        counter.copy_from_slice(&nonce[SENDER..]);
        let counter = u64::from_be_bytes(counter);
        if self.latest.len() >= SENDERS && !self.latest.contains_key(&sender) {
            return Err(NotOpened::TooManySenders);
        }
        let latest = self.latest.entry(sender).or_insert(0);
        if counter <= *latest {
            return Err(NotOpened::Replayed);
        }
        *latest = counter;
        Ok(text)
    }
}

/// Why a message is not to be believed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotOpened {
    NotSealed,
    AnotherKey,
    Forged,
    Replayed,
    TooManySenders,
}

impl fmt::Display for NotOpened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSealed => "it is not sealed",
            Self::AnotherKey => "it is sealed with another key",
            Self::Forged => "it was changed, or sealed for another topic",
            Self::Replayed => "it came before, or was overtaken by a later one",
            Self::TooManySenders => "there are too many senders",
        })
    }
}

impl std::error::Error for NotOpened {}
