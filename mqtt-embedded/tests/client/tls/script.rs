//! A server of TLS 1.3 that does as told, also what no server may do. RFC 8446, with one suite and one curve.

use aes_gcm::aead::{Aead as _, Payload};
use aes_gcm::{Aes128Gcm, KeyInit as _};
use embedded_io_async::{Read as _, Write as _};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{DerSignature, SigningKey};
use p256::{PublicKey, SecretKey};
use sha2::{Digest as _, Sha256};

use super::certificates::Issued;
use crate::support::WireEnd;

/// How the server proves who it is.
#[derive(Clone, Copy)]
pub(crate) enum Proof<'a> {
    /// Not at all: `EncryptedExtensions` and `Finished`.
    None,
    /// With a certificate, and no word about its key.
    CertificateOnly(&'a Issued),
    /// With a signature, and no word about whose it is.
    SignatureOnly(&'a Issued),
    /// With the certificate of one, and the signature of another.
    Signature { certificate: &'a Issued, signed_by: &'a Issued },
    /// With a key that both know.
    Psk(&'a [u8]),
}

/// Kinds of records (section 5.1).
const ALERT: u8 = 21;
pub(crate) const HANDSHAKE: u8 = 22;
pub(crate) const APPLICATION_DATA: u8 = 23;

/// A connection, as such a server sees it.
pub(crate) struct Script {
    pub(crate) wire: WireEnd,
    sending: Keys,
    receiving: Keys,
    transcript: Vec<u8>,
    handshake_secret: [u8; 32],
    server_secret: [u8; 32],
}

impl Script {
    /// Takes `ClientHello` and answers `ServerHello`; `None`: the client has gone.
    pub(crate) async fn begin(mut wire: WireEnd, proof: Proof<'_>) -> Option<Self> {
        let (_, hello) = read_record(&mut wire).await?;
        let secret = SecretKey::from_slice(&[7; 32]).unwrap();
        let shared = p256::ecdh::diffie_hellman(secret.to_nonzero_scalar(), key_share(&hello).as_affine());
        let answer = server_hello(&hello, &secret.public_key(), matches!(proof, Proof::Psk(_)));
        let transcript = [hello, answer.clone()].concat();
        let early = extract(&[0; 32], if let Proof::Psk(key) = proof { key } else { &[0; 32] });
        let handshake_secret = extract(&derived(&early), shared.raw_secret_bytes());
        let hash = Sha256::digest(&transcript);
        let server_secret = expand::<32>(&handshake_secret, "s hs traffic", &hash);
        let client_secret = expand::<32>(&handshake_secret, "c hs traffic", &hash);
        let (sending, receiving) = (Keys::new(&server_secret), Keys::new(&client_secret));
        write_record(&mut wire, HANDSHAKE, &answer).await;
        Some(Self { wire, sending, receiving, transcript, handshake_secret, server_secret })
    }

    /// Says the rest of the handshake, and takes the client's `Finished`; `None`: the client has gone.
    pub(crate) async fn finish(&mut self, proof: Proof<'_>) -> Option<()> {
        self.say(8, &[0, 0]).await; // EncryptedExtensions: none
        match proof {
            Proof::None | Proof::Psk(_) => {}
            Proof::CertificateOnly(issued) => self.present(issued).await,
            Proof::SignatureOnly(issued) => self.sign(&issued.key).await,
            Proof::Signature { certificate, signed_by } => {
                self.present(certificate).await;
                self.sign(&signed_by.key).await;
            }
        }
        let key = expand::<32>(&self.server_secret, "finished", &[]);
        let mut mac = <Hmac<Sha256> as hmac::Mac>::new_from_slice(&key).unwrap();
        mac.update(&Sha256::digest(&self.transcript));
        self.say(20, &mac.finalize().into_bytes()).await;
        let master = extract(&derived(&self.handshake_secret), &[0; 32]);
        let hash = Sha256::digest(&self.transcript);
        let (kind, _) = self.hear().await?;
        assert_ne!(kind, APPLICATION_DATA, "there are no keys for it yet");
        if kind == ALERT {
            return None;
        }
        self.sending = Keys::new(&expand(&master, "s ap traffic", &hash));
        self.receiving = Keys::new(&expand(&master, "c ap traffic", &hash));
        Some(())
    }

    /// The next record: what is in it, and of which kind that is; `None`: the client has gone.
    pub(crate) async fn hear(&mut self) -> Option<(u8, Vec<u8>)> {
        let (kind, bytes) = read_record(&mut self.wire).await?;
        if kind != APPLICATION_DATA {
            return Some((kind, bytes));
        }
        let mut inside = self.receiving.open(&bytes);
        let kind = inside.pop().unwrap();
        Some((kind, inside))
    }

    /// Sends a record.
    pub(crate) async fn send(&mut self, kind: u8, inside: &[u8]) {
        let record = self.sending.seal(&[inside, &[kind]].concat());
        write_record(&mut self.wire, APPLICATION_DATA, &record).await;
    }

    /// Sends a record with nothing inside, not even its kind.
    pub(crate) async fn send_nothing(&mut self) {
        let record = self.sending.seal(&[]);
        write_record(&mut self.wire, APPLICATION_DATA, &record).await;
    }

    /// Sends a message of the handshake.
    pub(crate) async fn say(&mut self, kind: u8, body: &[u8]) {
        let message = message(kind, body);
        self.transcript.extend(&message);
        self.send(HANDSHAKE, &message).await;
    }

    async fn present(&mut self, issued: &Issued) {
        let list: Vec<u8> = issued.chain.iter().flat_map(|der| [&u24(der.len())[..], der, &[0, 0]].concat()).collect();
        self.say(11, &[&[0][..], &u24(list.len()), &list].concat()).await;
    }

    async fn sign(&mut self, key: &SecretKey) {
        let hash = Sha256::digest(&self.transcript);
        let signed = [&[0x20; 64][..], b"TLS 1.3, server CertificateVerify\0", &hash].concat();
        let signature: DerSignature = SigningKey::from(key).sign(&signed);
        let signature = signature.as_bytes();
        self.say(15, &[&[4, 3][..], &u16(signature.len()), signature].concat()).await; // ecdsa_secp256r1_sha256
    }
}

/// The keys of one direction.
struct Keys {
    cipher: Aes128Gcm,
    iv: [u8; 12],
    count: u64,
}

impl Keys {
    fn new(secret: &[u8; 32]) -> Self {
        let cipher = Aes128Gcm::new(&expand::<16>(secret, "key", &[]).into());
        Self { cipher, iv: expand(secret, "iv", &[]), count: 0 }
    }

    fn nonce(&mut self) -> [u8; 12] {
        let mut nonce = self.iv;
        for (byte, count) in nonce[4..].iter_mut().zip(self.count.to_be_bytes()) {
            *byte ^= count;
        }
        self.count += 1;
        nonce
    }

    fn seal(&mut self, inside: &[u8]) -> Vec<u8> {
        let nonce = self.nonce();
        let aad = &header(APPLICATION_DATA, inside.len() + 16);
        self.cipher.encrypt(&nonce.into(), Payload { msg: inside, aad }).unwrap()
    }

    fn open(&mut self, record: &[u8]) -> Vec<u8> {
        let nonce = self.nonce();
        let aad = &header(APPLICATION_DATA, record.len());
        self.cipher.decrypt(&nonce.into(), Payload { msg: record, aad }).expect("it is the client's")
    }
}

/// The next record; `None`: the client has gone.
async fn read_record(wire: &mut WireEnd) -> Option<(u8, Vec<u8>)> {
    let mut header = [0; 5];
    wire.read_exact(&mut header).await.ok()?;
    let mut bytes = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
    wire.read_exact(&mut bytes).await.ok()?;
    Some((header[0], bytes))
}

/// Sends a record as it is, which anybody on the path can.
pub(crate) async fn write_record(wire: &mut WireEnd, kind: u8, bytes: &[u8]) {
    // A client that has gone does not hear it.
    let _ = wire.write_all(&[&header(kind, bytes.len())[..], bytes].concat()).await;
}

fn header(kind: u8, len: usize) -> [u8; 5] {
    let [high, low] = u16(len);
    [kind, 3, 3, high, low]
}

/// A message of the handshake (section 4).
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &u24(body.len()), body].concat()
}

/// The client's public key, from its hello (sections 4.1.2 and 4.2.8).
fn key_share(hello: &[u8]) -> PublicKey {
    let (_, rest) = hello.split_at(4 + 2 + 32);
    let rest = &rest[1 + usize::from(rest[0])..];
    let suites = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
    let mut extensions = &rest[2 + suites + 2 + 2..];
    loop {
        let (kind, len) = (&extensions[..2], usize::from(u16::from_be_bytes([extensions[2], extensions[3]])));
        if kind == [0, 51] {
            return PublicKey::from_sec1_bytes(&extensions[4 + 2 + 4..4 + len]).unwrap();
        }
        extensions = &extensions[4 + len..];
    }
}

fn server_hello(client_hello: &[u8], key: &PublicKey, psk: bool) -> Vec<u8> {
    let point = p256::EncodedPoint::from(key);
    let session = &client_hello[38..39 + usize::from(client_hello[38])];
    let versions = [0, 43, 0, 2, 3, 4];
    let share = [&[0, 51, 0, 69, 0, 23, 0, 65], point.as_bytes()].concat();
    let selected: &[u8] = if psk { &[0, 41, 0, 2, 0, 0] } else { &[] };
    let extensions = [&versions[..], &share, selected].concat();
    let suite = [0x13, 0x01, 0];
    let body = [&[3, 3][..], &[9; 32], session, &suite, &u16(extensions.len()), &extensions].concat();
    message(2, &body)
}

/// The key schedule (section 7.1).
fn extract(salt: &[u8], secret: &[u8]) -> [u8; 32] {
    Hkdf::<Sha256>::extract(Some(salt), secret).0.into()
}

fn derived(secret: &[u8; 32]) -> [u8; 32] {
    expand(secret, "derived", &Sha256::digest([]))
}

fn expand<const LEN: usize>(secret: &[u8; 32], label: &str, context: &[u8]) -> [u8; LEN] {
    let label = format!("tls13 {label}");
    let lens = (label.len() as u8, context.len() as u8);
    let info = [&u16(LEN)[..], &[lens.0], label.as_bytes(), &[lens.1], context].concat();
    let mut out = [0; LEN];
    Hkdf::<Sha256>::from_prk(secret).unwrap().expand(&info, &mut out).unwrap();
    out
}

fn u16(len: usize) -> [u8; 2] {
    u16::try_from(len).unwrap().to_be_bytes()
}

fn u24(len: usize) -> [u8; 3] {
    let [_, a, b, c] = u32::try_from(len).unwrap().to_be_bytes();
    [a, b, c]
}
