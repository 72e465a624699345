//! Is it the server that it says it is?

use core::cell::Cell;
use core::fmt;
use core::time::Duration;

use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embedded_tls::{
    CertificateEntryRef, CertificateRef, CertificateVerifyRef, SignatureScheme, TlsCipherSuite, TlsError, TlsVerifier,
};
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use rustls_pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, ServerName, SignatureVerificationAlgorithm, UnixTime, alg_id,
};
use sha2::Digest;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

/// Remembers what was verified: `embedded-tls` does not ask for it.
pub(super) struct Verifier<'a, Hash> {
    ca: &'a [u8],
    name: &'a str,
    now: u64,
    /// The server's public key, once its certificate was verified, and what was said up to there.
    certificate: Option<(PublicKey, Hash)>,
    signature_is_good: bool,
}

type PublicKey = [u8; 65];

/// Certificates of the server and between it and the CA.
const CHAIN: usize = 4;

impl<'a, Hash> Verifier<'a, Hash> {
    pub(super) const fn new(ca: &'a [u8], name: &'a str, now: u64) -> Self {
        Self { ca, name, now, certificate: None, signature_is_good: false }
    }

    /// Tells whether the server has proved who it is. Nothing else may be believed of a connection that is open.
    pub(super) const fn is_satisfied(&self) -> bool {
        self.signature_is_good
    }

    fn verify(&self, chain: &CertificateRef<'_>) -> Result<PublicKey, webpki::Error> {
        let mut certificates = chain.entries.iter().filter_map(|entry| match entry {
            CertificateEntryRef::X509(der) => Some(CertificateDer::from(*der)),
            CertificateEntryRef::RawPublicKey(_) => None,
        });
        let leaf = certificates.next().ok_or(webpki::Error::BadDer)?;
        let mut intermediates: [CertificateDer<'_>; CHAIN] = core::array::from_fn(|_| CertificateDer::from(&[][..]));
        let mut count = 0;
        for certificate in certificates {
            *intermediates.get_mut(count).ok_or(webpki::Error::MaximumPathDepthExceeded)? = certificate;
            count += 1;
        }
        let leaf = EndEntityCert::try_from(&leaf)?;
        let ca = CertificateDer::from(self.ca);
        let anchors = [anchor_from_trusted_cert(&ca)?];
        let time = UnixTime::since_unix_epoch(Duration::from_secs(self.now));
        let intermediates = intermediates.get(..count).unwrap_or_default();
        leaf.verify_for_usage(&[&P256], &anchors, intermediates, time, KeyUsage::server_auth(), None, None)?;
        let name = ServerName::try_from(self.name).map_err(|_| webpki::Error::MalformedDnsIdentifier)?;
        leaf.verify_is_valid_for_subject_name(&name)?;
        // The key is needed later, when the certificate is not there any more.
        let key = TakeKey(Mutex::new(Cell::new(None)));
        leaf.verify_signature(&key, &[], &[])?;
        key.0.into_inner().into_inner().ok_or(webpki::Error::BadDer)
    }
}

impl<Suite: TlsCipherSuite> TlsVerifier<Suite> for Verifier<'_, Suite::Hash> {
    fn set_hostname_verification(&mut self, _: &str) -> Result<(), TlsError> {
        Ok(()) // the name is known from the start
    }

    fn verify_certificate(&mut self, transcript: &Suite::Hash, chain: CertificateRef<'_>) -> Result<(), TlsError> {
        let key = self.verify(&chain).map_err(|_| TlsError::InvalidCertificate)?;
        self.certificate = Some((key, transcript.clone()));
        Ok(())
    }

    fn verify_signature(&mut self, verify: CertificateVerifyRef<'_>) -> Result<(), TlsError> {
        const LABEL: &[u8] = b"TLS 1.3, server CertificateVerify\0";
        let (key, transcript) = self.certificate.take().ok_or(TlsError::InvalidCertificate)?;
        if verify.signature_scheme != SignatureScheme::EcdsaSecp256r1Sha256 {
            return Err(TlsError::InvalidSignatureScheme);
        }
        let hash = transcript.finalize();
        let mut message = [0x20; 64 + LABEL.len() + 32];
        message.get_mut(64..64 + LABEL.len()).ok_or(TlsError::EncodeError)?.copy_from_slice(LABEL);
        let room = message.get_mut(64 + LABEL.len()..).filter(|room| room.len() == hash.len());
        room.ok_or(TlsError::EncodeError)?.copy_from_slice(&hash);
        P256.verify_signature(&key, &message, verify.signature).map_err(|_| TlsError::InvalidSignature)?;
        self.signature_is_good = true;
        Ok(())
    }
}

/// ECDSA on P-256 with SHA-256.
#[derive(Debug)]
struct P256;

impl SignatureVerificationAlgorithm for P256 {
    fn verify_signature(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let key = VerifyingKey::from_sec1_bytes(public_key).map_err(|_| InvalidSignature)?;
        let signature = Signature::from_der(signature).map_err(|_| InvalidSignature)?;
        key.verify(message, &signature).map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P256
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_SHA256
    }
}

/// Verifies nothing: `webpki` finds the public key of a certificate, and this takes it.
struct TakeKey(Mutex<CriticalSectionRawMutex, Cell<Option<PublicKey>>>);

impl fmt::Debug for TakeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TakeKey")
    }
}

impl SignatureVerificationAlgorithm for TakeKey {
    fn verify_signature(&self, public_key: &[u8], _: &[u8], _: &[u8]) -> Result<(), InvalidSignature> {
        let key = PublicKey::try_from(public_key).map_err(|_| InvalidSignature)?;
        self.0.lock(|cell| cell.set(Some(key)));
        Ok(())
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P256
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_SHA256
    }
}
