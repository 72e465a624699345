//! What `embedded-tls` asks for during a handshake.

use embedded_tls::{
    Aes128GcmSha256, Certificate, CryptoProvider, CryptoRngCore, SignatureScheme, TlsError, TlsVerifier,
};
use p256::SecretKey;
use p256::ecdsa::signature::SignerMut;
use p256::ecdsa::{DerSignature, SigningKey};
use sha2::Sha256;

use super::ClientCertificate;
use super::verifier::Verifier;

pub(super) struct Provider<'a, R> {
    pub(super) random: R,
    pub(super) verifier: Option<Verifier<'a, Sha256>>,
    pub(super) client: Option<ClientCertificate<'a>>,
}

impl<R: CryptoRngCore> CryptoProvider for Provider<'_, R> {
    type CipherSuite = Aes128GcmSha256;
    type Signature = DerSignature;

    fn rng(&mut self) -> impl CryptoRngCore {
        &mut self.random
    }

    fn verifier(&mut self) -> Result<&mut impl TlsVerifier<Aes128GcmSha256>, TlsError> {
        self.verifier.as_mut().ok_or(TlsError::Unimplemented)
    }

    fn signer(&mut self) -> Result<(impl SignerMut<DerSignature>, SignatureScheme), TlsError> {
        let client = self.client.ok_or(TlsError::InvalidPrivateKey)?;
        let key = SecretKey::from_sec1_der(client.key).map_err(|_| TlsError::InvalidPrivateKey)?;
        Ok((SigningKey::from(&key), SignatureScheme::EcdsaSecp256r1Sha256))
    }

    fn client_cert(&mut self) -> Option<Certificate<impl AsRef<[u8]>>> {
        self.client.map(|client| Certificate::X509(client.certificate))
    }
}
