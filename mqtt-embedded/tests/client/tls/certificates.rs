//! Certificates, made as they are needed: ECDSA on P-256, as `embedded-tls` takes them.

use p256::SecretKey;
use p256::pkcs8::EncodePrivateKey;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};

/// What the devices of the tests take for now: it lies in 2030.
pub(crate) fn now() -> u64 {
    1_900_000_000
}

/// Issues certificates, whether it may or not.
pub(crate) struct Authority {
    pub(crate) certificate: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with what is between it and the authority, and its key.
pub(crate) struct Issued {
    pub(crate) chain: Vec<Vec<u8>>,
    pub(crate) key: SecretKey,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut parameters = valid(name, (2029, 2031));
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = pair(&new_key());
        let certificate = parameters.self_signed(&key).unwrap().der().to_vec();
        Self { certificate, issuer: Issuer::new(parameters, key) }
    }

    /// For a server of this name.
    pub(crate) fn server(&self, name: &str) -> Issued {
        self.server_valid(name, (2029, 2031))
    }

    /// From the beginning of one year to the beginning of another.
    pub(crate) fn server_valid(&self, name: &str, years: (i32, i32)) -> Issued {
        issue(&self.issuer, name, years, ExtendedKeyUsagePurpose::ServerAuth, &[])
    }

    pub(crate) fn client(&self, name: &str) -> Issued {
        issue(&self.issuer, name, (2029, 2031), ExtendedKeyUsagePurpose::ClientAuth, &[])
    }
}

impl Issued {
    /// A certificate that only pretends to come from somebody who may issue any.
    pub(crate) fn forge_server(&self, name: &str) -> Self {
        issue(&self.issuer, name, (2029, 2031), ExtendedKeyUsagePurpose::ServerAuth, &self.chain)
    }

    pub(crate) fn key_der(&self) -> Vec<u8> {
        self.key.to_pkcs8_der().unwrap().as_bytes().to_vec()
    }
}

fn issue(
    issuer: &Issuer<'_, KeyPair>,
    name: &str,
    years: (i32, i32),
    purpose: ExtendedKeyUsagePurpose,
    behind: &[Vec<u8>],
) -> Issued {
    let mut parameters = valid(name, years);
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.extended_key_usages = vec![purpose];
    let key = new_key();
    let certificate = parameters.signed_by(&pair(&key), issuer).unwrap().der().to_vec();
    let chain = [&[certificate], behind].concat();
    let issuer = Issuer::new(parameters, pair(&key));
    Issued { chain, key, issuer }
}

fn valid(name: &str, (from, until): (i32, i32)) -> CertificateParams {
    let mut parameters = CertificateParams::new([name.to_owned()]).unwrap();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
    parameters.not_before = date_time_ymd(from, 1, 1);
    parameters.not_after = date_time_ymd(until, 1, 1);
    parameters
}

fn new_key() -> SecretKey {
    SecretKey::random(&mut rand_core::OsRng)
}

fn pair(key: &SecretKey) -> KeyPair {
    KeyPair::try_from(key.to_pkcs8_der().unwrap().as_bytes()).unwrap()
}
