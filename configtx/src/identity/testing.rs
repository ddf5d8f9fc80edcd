//! Certificates, revocation lists and MSP settings for tests, down to the last bit of their DER.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaPair, KeySize};
use aws_lc_rs::signature::{self as aws, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _};
use bytes::Bytes;
use prost::Message as _;
use protos::wire::msp::{FabricMspConfig, FabricNodeOUs, FabricOuIdentifier, MspConfig, SerializedIdentity};

use super::der::{BIT_STRING, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, encode};
use super::ecdsa::{Curve, Pair};
use super::key::{KeyAlgorithm, Signer};
use super::pem;

pub(crate) const EKU_SERVER: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
pub(crate) const EKU_CLIENT: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];
pub(crate) const EKU_ANY: &[u8] = &[0x55, 0x1d, 0x25, 0];
/// The only bit of keyUsage that is looked at.
pub(crate) const CERT_SIGN: u8 = 0x04;
pub(crate) const DIGITAL_SIGNATURE: u8 = 0x80;

const SET: u8 = 0x31;
const BOOLEAN: u8 = 0x01;
const UTF8: u8 = 0x0c;
const GENERALIZED_TIME: u8 = 0x18;

/// A private key of any kind that certificates can be signed with.
pub(crate) enum TestKey {
    Signer(Signer),
    Rsa { pair: RsaPair, pss: bool },
}

pub(crate) fn ecdsa(curve: Curve) -> TestKey {
    TestKey::Signer(Signer::from_der(&ecdsa_pkcs8(curve)).unwrap())
}

pub(crate) fn ecdsa_pkcs8(curve: Curve) -> Vec<u8> {
    let algorithm: &'static EcdsaSigningAlgorithm = match curve {
        Curve::P224 => return p224_pkcs8(),
        Curve::P256 => &aws::ECDSA_P256_SHA256_ASN1_SIGNING,
        Curve::P384 => &aws::ECDSA_P384_SHA384_ASN1_SIGNING,
        Curve::P521 => &aws::ECDSA_P521_SHA256_ASN1_SIGNING,
    };
    EcdsaKeyPair::generate(algorithm)
        .unwrap()
        .to_pkcs8v1()
        .unwrap()
        .as_ref()
        .to_vec()
}

/// The scalar is random, with its top byte cleared so that it is in range.
fn p224_pkcs8() -> Vec<u8> {
    let mut scalar = [0; 28];
    aws_lc_rs::rand::fill(&mut scalar[1..]).unwrap();
    let key = encode(SEQUENCE, &[&[INTEGER, 1, 1], &encode(OCTET_STRING, &[&scalar])]);
    let algorithm = encode(
        SEQUENCE,
        &[
            &oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1]),
            &oid(&[0x2b, 0x81, 4, 0, 0x21]),
        ],
    );
    encode(
        SEQUENCE,
        &[&[INTEGER, 1, 0], &algorithm, &encode(OCTET_STRING, &[&key])],
    )
}

pub(crate) fn p256() -> TestKey {
    ecdsa(Curve::P256)
}

pub(crate) fn ed25519() -> TestKey {
    let mut seed = [0; 32];
    aws_lc_rs::rand::fill(&mut seed).unwrap();
    TestKey::Signer(Signer::from_ed25519_seed(&seed))
}

pub(crate) fn rsa(pss: bool) -> TestKey {
    TestKey::Rsa {
        pair: RsaPair::generate(KeySize::Rsa2048).unwrap(),
        pss,
    }
}

impl TestKey {
    pub(crate) fn signer(&self) -> &Signer {
        let Self::Signer(signer) = self else {
            panic!("an RSA key signs certificates only")
        };
        signer
    }

    fn public_key_info(&self) -> Vec<u8> {
        let signer = match self {
            Self::Rsa { pair, .. } => return pair.public_key().as_der().unwrap().as_ref().to_vec(),
            Self::Signer(signer) => signer.public_key(),
        };
        let curve: &[u8] = match signer.algorithm() {
            KeyAlgorithm::EcdsaP224 => &[0x2b, 0x81, 4, 0, 0x21],
            KeyAlgorithm::EcdsaP256 => &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7],
            KeyAlgorithm::EcdsaP384 => &[0x2b, 0x81, 4, 0, 0x22],
            KeyAlgorithm::EcdsaP521 => &[0x2b, 0x81, 4, 0, 0x23],
            _ => &[],
        };
        let algorithm = if curve.is_empty() {
            encode(SEQUENCE, &[&oid(&[0x2b, 0x65, 0x70])])
        } else {
            encode(
                SEQUENCE,
                &[&oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1]), &oid(curve)],
            )
        };
        encode(SEQUENCE, &[&algorithm, &bits(signer.as_bytes())])
    }

    fn signature_algorithm(&self) -> Vec<u8> {
        match self {
            Self::Rsa { pss: true, .. } => pss_sha256(),
            Self::Rsa { pss: false, .. } => encode(
                SEQUENCE,
                &[&oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11]), &[5, 0]],
            ),
            Self::Signer(signer) if signer.public_key().algorithm().is_ecdsa() => {
                encode(SEQUENCE, &[&oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2])])
            }
            Self::Signer(_) => encode(SEQUENCE, &[&oid(&[0x2b, 0x65, 0x70])]),
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let (pair, padding): (_, &'static dyn aws::RsaEncoding) = match self {
            Self::Signer(signer) => return signer.sign(message),
            Self::Rsa { pair, pss: true } => (pair, &aws::RSA_PSS_SHA256),
            Self::Rsa { pair, pss: false } => (pair, &aws::RSA_PKCS1_SHA256),
        };
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(padding, &SystemRandom::new(), message, &mut signature)
            .unwrap();
        signature
    }
}

/// PSS over SHA-256 with a salt of 32 bytes.
fn pss_sha256() -> Vec<u8> {
    let sha256 = encode(
        SEQUENCE,
        &[&oid(&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1]), &[5, 0]],
    );
    let mgf1 = encode(
        SEQUENCE,
        &[&oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 8]), &sha256],
    );
    let parameters = encode(
        SEQUENCE,
        &[
            &encode(0xa0, &[&sha256]),
            &encode(0xa1, &[&mgf1]),
            &encode(0xa2, &[&[INTEGER, 1, 32]]),
        ],
    );
    encode(
        SEQUENCE,
        &[&oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10]), &parameters],
    )
}

fn oid(content: &[u8]) -> Vec<u8> {
    encode(OBJECT_IDENTIFIER, &[content])
}

fn bits(content: &[u8]) -> Vec<u8> {
    encode(BIT_STRING, &[&[0], content])
}

/// What goes into a certificate. The default is a plain leaf, valid from 2026 to 2036.
#[derive(Clone)]
pub(crate) struct Spec {
    pub(crate) name: &'static str,
    pub(crate) units: Vec<&'static str>,
    pub(crate) serial: u8,
    /// Generalized time, like the end.
    pub(crate) start: &'static str,
    pub(crate) end: &'static str,
    /// `None`: no basicConstraints.
    pub(crate) ca: Option<bool>,
    pub(crate) path_length: Option<u8>,
    pub(crate) key_usage: Option<u8>,
    pub(crate) extended_usage: Vec<&'static [u8]>,
    pub(crate) has_key_id: bool,
    pub(crate) dns_names: Vec<&'static str>,
    pub(crate) permitted_dns: Vec<&'static str>,
    pub(crate) has_unknown_critical: bool,
    pub(crate) has_high_s: bool,
}

impl Spec {
    pub(crate) fn leaf(name: &'static str) -> Self {
        Self {
            name,
            units: vec!["client"],
            serial: 1,
            start: "20260101000000Z",
            end: "20360101000000Z",
            ca: Some(false),
            path_length: None,
            key_usage: None,
            extended_usage: Vec::new(),
            has_key_id: false,
            dns_names: Vec::new(),
            permitted_dns: Vec::new(),
            has_unknown_critical: false,
            has_high_s: false,
        }
    }

    pub(crate) fn authority(name: &'static str) -> Self {
        Self {
            units: Vec::new(),
            ca: Some(true),
            key_usage: Some(CERT_SIGN),
            has_key_id: true,
            start: "20250101000000Z",
            ..Self::leaf(name)
        }
    }

    fn subject(&self) -> Vec<u8> {
        let attribute = |kind: u8, text: &str| {
            let pair = encode(
                SEQUENCE,
                &[&oid(&[0x55, 4, kind]), &encode(UTF8, &[text.as_bytes()])],
            );
            encode(SET, &[&pair])
        };
        let units: Vec<u8> = self.units.iter().flat_map(|unit| attribute(11, unit)).collect();
        encode(SEQUENCE, &[&units, &attribute(3, self.name)])
    }

    fn extensions(&self, key: &TestKey) -> Vec<u8> {
        let mut all = Vec::new();
        if let Some(ca) = self.ca {
            let flag: &[u8] = if ca { &[BOOLEAN, 1, 0xff] } else { &[] };
            let length = self.path_length.map(|length| [INTEGER, 1, length]);
            let length = length.as_ref().map_or(&[][..], |length| length);
            all.extend(extension(
                &[0x55, 0x1d, 19],
                true,
                &encode(SEQUENCE, &[flag, length]),
            ));
        }
        if let Some(usage) = self.key_usage {
            all.extend(extension(&[0x55, 0x1d, 15], true, &bits(&[usage])));
        }
        if !self.extended_usage.is_empty() {
            let usages: Vec<u8> = self.extended_usage.iter().flat_map(|usage| oid(usage)).collect();
            all.extend(extension(&[0x55, 0x1d, 37], false, &encode(SEQUENCE, &[&usages])));
        }
        if self.has_key_id {
            all.extend(extension(
                &[0x55, 0x1d, 14],
                false,
                &encode(OCTET_STRING, &[&key_id(key)]),
            ));
        }
        if !self.dns_names.is_empty() {
            let names: Vec<u8> = self.dns_names.iter().flat_map(|name| dns(name)).collect();
            all.extend(extension(&[0x55, 0x1d, 17], false, &encode(SEQUENCE, &[&names])));
        }
        if !self.permitted_dns.is_empty() {
            let trees = self
                .permitted_dns
                .iter()
                .flat_map(|name| encode(SEQUENCE, &[&dns(name)]));
            let trees: Vec<u8> = trees.collect();
            let value = encode(SEQUENCE, &[&encode(0xa0, &[&trees])]);
            all.extend(extension(&[0x55, 0x1d, 30], true, &value));
        }
        if self.has_unknown_critical {
            all.extend(extension(&[0x2a, 3, 4], true, &[5, 0]));
        }
        all
    }
}

fn dns(name: &str) -> Vec<u8> {
    encode(0x82, &[name.as_bytes()])
}

fn extension(id: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &[BOOLEAN, 1, 0xff] } else { &[] };
    encode(SEQUENCE, &[&oid(id), critical, &encode(OCTET_STRING, &[value])])
}

fn key_id(key: &TestKey) -> Vec<u8> {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &key.public_key_info());
    digest.as_ref()[..20].to_vec()
}

/// A key with a certificate that can issue others.
pub(crate) struct Issuer {
    pub(crate) key: TestKey,
    pub(crate) der: Vec<u8>,
    subject: Vec<u8>,
}

impl Issuer {
    pub(crate) fn root(spec: &Spec, key: TestKey) -> Self {
        let der = sign_certificate(spec, &key, &spec.subject(), &key);
        Self {
            der,
            subject: spec.subject(),
            key,
        }
    }

    pub(crate) fn issue_authority(&self, spec: &Spec, key: TestKey) -> Self {
        Self {
            der: self.issue(spec, &key),
            subject: spec.subject(),
            key,
        }
    }

    /// A certificate in DER for `key`.
    pub(crate) fn issue(&self, spec: &Spec, key: &TestKey) -> Vec<u8> {
        sign_certificate(spec, key, &self.subject, &self.key)
    }

    pub(crate) fn issue_pem(&self, spec: &Spec, key: &TestKey) -> Bytes {
        certificate_pem(&self.issue(spec, key))
    }

    pub(crate) fn pem(&self) -> Bytes {
        certificate_pem(&self.der)
    }

    /// A revocation list in this issuer's name, signed with `key`; without `authority` it names none.
    pub(crate) fn revocation_list(&self, serials: &[u8], key: &TestKey, authority: Option<&Self>) -> Vec<u8> {
        let time = encode(GENERALIZED_TIME, &[b"20260101000000Z"]);
        let entry = |serial: &u8| encode(SEQUENCE, &[&[INTEGER, 1, *serial], &time]);
        let entries: Vec<u8> = serials.iter().flat_map(entry).collect();
        let id = authority.map(|authority| {
            let value = encode(SEQUENCE, &[&encode(0x80, &[&key_id(&authority.key)])]);
            let list = encode(SEQUENCE, &[&extension(&[0x55, 0x1d, 35], false, &value)]);
            encode(0xa0, &[&list])
        });
        let list = encode(
            SEQUENCE,
            &[
                &[INTEGER, 1, 1],
                &key.signature_algorithm(),
                &self.subject,
                &time,
                &encode(SEQUENCE, &[&entries]),
                &id.unwrap_or_default(),
            ],
        );
        encode(
            SEQUENCE,
            &[&list, &key.signature_algorithm(), &bits(&key.sign(&list))],
        )
    }
}

fn sign_certificate(spec: &Spec, key: &TestKey, issuer: &[u8], issuer_key: &TestKey) -> Vec<u8> {
    let time = |text: &str| encode(GENERALIZED_TIME, &[text.as_bytes()]);
    let extensions = spec.extensions(key);
    let extensions = if extensions.is_empty() {
        Vec::new()
    } else {
        encode(0xa3, &[&encode(SEQUENCE, &[&extensions])])
    };
    let tbs = encode(
        SEQUENCE,
        &[
            &encode(0xa0, &[&[INTEGER, 1, 2]]),
            &[INTEGER, 1, spec.serial],
            &issuer_key.signature_algorithm(),
            issuer,
            &encode(SEQUENCE, &[&time(spec.start), &time(spec.end)]),
            &spec.subject(),
            &key.public_key_info(),
            &extensions,
        ],
    );
    let mut signature = issuer_key.sign(&tbs);
    if spec.has_high_s {
        signature = with_high_s(Curve::P256, &signature);
    }
    encode(
        SEQUENCE,
        &[&tbs, &issuer_key.signature_algorithm(), &bits(&signature)],
    )
}

/// The other signature that verifies as well: with `order - s`.
pub(crate) fn with_high_s(curve: Curve, signature: &[u8]) -> Vec<u8> {
    let pair = Pair::read(signature).unwrap();
    assert!(pair.is_low_s(curve));
    pair.negated(curve).unwrap()
}

pub(crate) fn certificate_pem(der: &[u8]) -> Bytes {
    pem::encode("CERTIFICATE", der).into()
}

/// Settings of an MSP "Org" with these roots and intermediates and all four node OUs on.
pub(crate) fn settings(roots: &[&Issuer], intermediates: &[&Issuer]) -> FabricMspConfig {
    let ou = |unit: &str| {
        Some(FabricOuIdentifier {
            organizational_unit_identifier: unit.to_owned(),
            certificate: Bytes::new(),
        })
    };
    FabricMspConfig {
        name: "Org".to_owned(),
        root_certs: roots.iter().map(|issuer| issuer.pem()).collect(),
        intermediate_certs: intermediates.iter().map(|issuer| issuer.pem()).collect(),
        fabric_node_ous: Some(FabricNodeOUs {
            enable: true,
            client_ou_identifier: ou("client"),
            peer_ou_identifier: ou("peer"),
            admin_ou_identifier: ou("admin"),
            orderer_ou_identifier: ou("orderer"),
        }),
        ..FabricMspConfig::default()
    }
}

pub(crate) fn config(settings: &FabricMspConfig) -> MspConfig {
    MspConfig {
        r#type: 0,
        config: settings.encode_to_vec().into(),
    }
}

/// An encoded `SerializedIdentity` of "Org".
pub(crate) fn serialized(pem: Bytes) -> Vec<u8> {
    SerializedIdentity {
        mspid: "Org".to_owned(),
        id_bytes: pem,
    }
    .encode_to_vec()
}

/// A DER SEQUENCE with this content.
pub(crate) fn sequence(content: &[u8]) -> Vec<u8> {
    encode(SEQUENCE, &[content])
}
