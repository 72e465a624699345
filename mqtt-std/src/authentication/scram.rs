//! SCRAM-SHA-256 (RFC 5802, RFC 7677): both sides prove that they know the password, which is not sent.

use core::fmt;
use core::str;
use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::{Authenticator, Conversation, Judging, Saying};

/// The method SCRAM-SHA-256, without channel binding. Needs the feature `scram`.
///
/// ```
/// use mqtt_std::Options;
/// use mqtt_std::authentication::ScramSha256;
///
/// let options = Options::new("broker.example", 1883).authenticator(ScramSha256::new("alice", "secret"));
/// # let _ = options;
/// ```
#[derive(Clone)]
pub struct ScramSha256 {
    user_name: String,
    password: String,
    maximum_iterations: u32,
    #[cfg(test)]
    nonce: Option<&'static str>,
}

impl ScramSha256 {
    /// For this user.
    #[must_use]
    pub fn new(user_name: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            user_name: user_name.into(),
            password: password.into(),
            maximum_iterations: 1_000_000,
            #[cfg(test)]
            nonce: None,
        }
    }

    /// Sets how many iterations the server may ask for; default: 1,000,000, which take a part of a second. Fewer than 4,096 are
    /// refused.
    #[must_use]
    pub const fn maximum_iterations(mut self, iterations: u32) -> Self {
        self.maximum_iterations = iterations;
        self
    }

    fn nonce(&self) -> Result<String, getrandom::Error> {
        #[cfg(test)]
        if let Some(nonce) = self.nonce {
            return Ok(nonce.to_owned());
        }
        let mut random = [0; 18];
        getrandom::fill(&mut random)?;
        Ok(BASE64.encode(random))
    }
}

impl fmt::Debug for ScramSha256 {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramSha256").field("user_name", &self.user_name).finish_non_exhaustive()
    }
}

impl Authenticator for ScramSha256 {
    fn method(&self) -> &'static str {
        "SCRAM-SHA-256"
    }

    fn begin(&self) -> Box<dyn Conversation> {
        Box::new(Scram { user: self.clone(), stage: Stage::New })
    }
}

struct Scram {
    user: ScramSha256,
    stage: Stage,
}

/// ```text
/// New --start: client-first--> Started --answer: client-final--> Proved --finish--> New
/// ```
enum Stage {
    New,
    Started { nonce: String, first_bare: String },
    Proved { server_signature: Hmac<Sha256> },
}

/// Why SCRAM failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ScramError {
    /// Not when it is its turn, or no message of SCRAM.
    Message,
    /// The server's nonce does not continue ours.
    Nonce,
    /// Fewer iterations than 4,096, or more than are allowed.
    Iterations,
    /// User name or password has characters that SASLprep does not allow.
    Text,
    /// The server does not know the password.
    ServerSignature,
    /// The server says that the proof is wrong, or something else is.
    Refused,
    /// The system has no random numbers.
    Random,
}

impl fmt::Display for ScramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Message => "SCRAM: the server's message cannot be understood",
            Self::Nonce => "SCRAM: the server's nonce does not continue the client's",
            Self::Iterations => "SCRAM: the number of iterations is not allowed",
            Self::Text => "SCRAM: user name or password has characters that are not allowed",
            Self::ServerSignature => "SCRAM: the server does not prove that it knows the password",
            Self::Refused => "SCRAM: the server refuses",
            Self::Random => "SCRAM: no random numbers",
        })
    }
}

impl core::error::Error for ScramError {}

impl Scram {
    fn client_first(&mut self) -> Result<String, ScramError> {
        let nonce = self.user.nonce().map_err(|_| ScramError::Random)?;
        let name = prepare(&self.user.user_name)?.replace('=', "=3D").replace(',', "=2C");
        let first_bare = format!("n={name},r={nonce}");
        let message = format!("{NO_CHANNEL_BINDING}{first_bare}");
        self.stage = Stage::Started { nonce, first_bare };
        Ok(message)
    }

    async fn client_final(&mut self, server_first: &[u8]) -> Result<String, ScramError> {
        let Stage::Started { nonce, first_bare } = core::mem::replace(&mut self.stage, Stage::New) else {
            return Err(ScramError::Message);
        };
        let server_first = str::from_utf8(server_first).map_err(|_| ScramError::Message)?;
        let mut parts = server_first.split(',');
        let (server_nonce, salt, iterations) =
            (part(parts.next(), "r=")?, part(parts.next(), "s=")?, part(parts.next(), "i=")?);
        let whole = server_nonce.strip_prefix(&nonce).is_some_and(|rest| !rest.is_empty());
        if !whole {
            return Err(ScramError::Nonce);
        }
        let salt = BASE64.decode(salt).map_err(|_| ScramError::Message)?;
        let iterations: u32 = iterations.parse().map_err(|_| ScramError::Message)?;
        if !(4_096..=self.user.maximum_iterations).contains(&iterations) {
            return Err(ScramError::Iterations);
        }
        let password = prepare(&self.user.password)?.into_owned();
        // It takes a while: not on a thread that others wait for.
        let salted = tokio::task::spawn_blocking(move || {
            pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password.as_bytes(), &salt, iterations)
        });
        let salted = salted.await.map_err(|_| ScramError::Message)?;

        let client_key = hmac(&salted, &[b"Client Key"])?.finalize().into_bytes();
        let stored_key = Sha256::digest(client_key);
        let without_proof = format!("c={},r={server_nonce}", BASE64.encode(NO_CHANNEL_BINDING));
        let message = [first_bare.as_bytes(), b",", server_first.as_bytes(), b",", without_proof.as_bytes()];
        let signature = hmac(&stored_key, &message)?.finalize().into_bytes();
        let proof: Vec<u8> = client_key.iter().zip(signature).map(|(key, signature)| key ^ signature).collect();
        let server_key = hmac(&salted, &[b"Server Key"])?.finalize().into_bytes();
        self.stage = Stage::Proved { server_signature: hmac(&server_key, &message)? };
        Ok(format!("{without_proof},p={}", BASE64.encode(proof)))
    }

    fn judge(&mut self, server_final: &[u8]) -> Result<(), ScramError> {
        let Stage::Proved { server_signature } = core::mem::replace(&mut self.stage, Stage::New) else {
            return Err(ScramError::Message);
        };
        let server_final = str::from_utf8(server_final).map_err(|_| ScramError::Message)?;
        let first = server_final.split(',').next();
        if part(first, "e=").is_ok() {
            return Err(ScramError::Refused);
        }
        let signature = BASE64.decode(part(first, "v=")?).map_err(|_| ScramError::Message)?;
        // In a time that does not tell how much of it is right.
        server_signature.verify_slice(&signature).map_err(|_| ScramError::ServerSignature)
    }
}

impl Conversation for Scram {
    fn start(&mut self) -> Saying<'_> {
        Box::pin(async { Ok(Bytes::from(self.client_first()?)) })
    }

    fn answer(&mut self, data: Bytes) -> Saying<'_> {
        Box::pin(async move { Ok(Bytes::from(self.client_final(&data).await?)) })
    }

    fn finish(&mut self, data: Bytes) -> Judging<'_> {
        Box::pin(async move { Ok(self.judge(&data)?) })
    }
}

/// The header for a client without channel binding.
const NO_CHANNEL_BINDING: &str = "n,,";

fn prepare(text: &str) -> Result<Cow<'_, str>, ScramError> {
    stringprep::saslprep(text).map_err(|_| ScramError::Text)
}

fn part<'a>(part: Option<&'a str>, name: &str) -> Result<&'a str, ScramError> {
    part.and_then(|part| part.strip_prefix(name)).ok_or(ScramError::Message)
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Result<Hmac<Sha256>, ScramError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| ScramError::Message)?;
    for part in parts {
        mac.update(part);
    }
    Ok(mac)
}

#[cfg(test)]
#[path = "scram_tests.rs"]
mod tests;
