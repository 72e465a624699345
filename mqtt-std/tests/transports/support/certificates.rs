//! Certificates, made as they are needed.

use std::time::{SystemTime, UNIX_EPOCH};

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509Extension, X509Name};

/// Issues certificates.
pub(crate) struct Authority {
    pub(crate) pem: Vec<u8>,
    certificate: X509,
    key: PKey<Private>,
}

/// A certificate and its key, as PEM.
pub(crate) struct Issued {
    pub(crate) chain: Vec<u8>,
    pub(crate) key: Vec<u8>,
}

/// When a certificate is valid, in days from now.
const USUAL: (i64, i64) = (-1, 30);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = new_key();
        let mut builder = builder(name, &key, USUAL);
        builder.set_issuer_name(&named(name)).unwrap();
        builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
        builder.append_extension(KeyUsage::new().critical().key_cert_sign().build().unwrap()).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        let certificate = builder.build();
        Self { pem: certificate.to_pem().unwrap(), certificate, key }
    }

    /// For a server of this name on this machine.
    pub(crate) fn server(&self, name: &str) -> Issued {
        self.server_valid(name, USUAL)
    }

    /// Only from and until so many days from now.
    pub(crate) fn server_valid(&self, name: &str, days: (i64, i64)) -> Issued {
        let mut names = SubjectAlternativeName::new();
        names.dns(name);
        if name == "localhost" {
            names.ip("127.0.0.1").ip("::1");
        }
        self.issue_valid(name, days, Some(&names), &ExtendedKeyUsage::new().server_auth().build().unwrap())
    }

    pub(crate) fn client(&self, name: &str) -> Issued {
        self.issue(name, None, &ExtendedKeyUsage::new().client_auth().build().unwrap())
    }

    /// The key of its own certificate.
    pub(crate) fn key(&self) -> Vec<u8> {
        self.key.private_key_to_pem_pkcs8().unwrap()
    }

    /// For whatever these names and this usage say.
    pub(crate) fn issue(&self, name: &str, names: Option<&SubjectAlternativeName>, usage: &X509Extension) -> Issued {
        self.issue_valid(name, USUAL, names, usage)
    }

    fn issue_valid(
        &self,
        name: &str,
        days: (i64, i64),
        names: Option<&SubjectAlternativeName>,
        usage: &X509Extension,
    ) -> Issued {
        let key = new_key();
        let mut builder = builder(name, &key, days);
        builder.set_issuer_name(self.certificate.subject_name()).unwrap();
        if let Some(names) = names {
            let extension = names.build(&builder.x509v3_context(Some(&self.certificate), None)).unwrap();
            builder.append_extension(extension).unwrap();
        }
        builder.append_extension2(usage).unwrap();
        builder.sign(&self.key, MessageDigest::sha256()).unwrap();
        Issued { chain: builder.build().to_pem().unwrap(), key: key.private_key_to_pem_pkcs8().unwrap() }
    }
}

fn builder(name: &str, key: &PKey<Private>, days: (i64, i64)) -> X509Builder {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
    let moment = |days| Asn1Time::from_unix(now + days * 24 * 60 * 60).unwrap();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let mut serial = BigNum::new().unwrap();
    serial.rand(100, openssl::bn::MsbOption::MAYBE_ZERO, false).unwrap();
    builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&named(name)).unwrap();
    builder.set_not_before(&moment(days.0)).unwrap();
    builder.set_not_after(&moment(days.1)).unwrap();
    builder.set_pubkey(key).unwrap();
    builder
}

fn named(name: &str) -> X509Name {
    let mut builder = X509Name::builder().unwrap();
    builder.append_entry_by_text("CN", name).unwrap();
    builder.build()
}

fn new_key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}
