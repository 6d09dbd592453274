//! Certificate requests: a key made where it is used, and what its maker asks an authority to sign.
//!
//! Owns PKCS #10 (RFC 2986) in and out. Never takes a name from a request: whoever signs says whom the key belongs to.
//! Never stores anything.

use rcgen::{
    CertificateParams, CertificateSigningRequestParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256,
    PublicKey, PublicKeyData as _,
};
use rustls::pki_types::CertificateSigningRequestDer;
use rustls::pki_types::pem::PemObject as _;

use super::certs::CertsError;
use super::fingerprint::Fingerprint;
use super::pem_file::PemFile;

/// A key and the request for it.
pub struct Made {
    /// The request, PEM.
    pub request_pem: String,
    /// The private key, PEM (PKCS #8), not encrypted.
    pub key_pem: String,
}

/// Makes a key and a request that names nobody.
///
/// # Errors
/// [`CertsError::Making`].
pub fn make() -> Result<Made, CertsError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let request_pem = params.serialize_request(&key)?.pem()?;
    Ok(Made { request_pem, key_pem: key.serialize_pem() })
}

/// The fingerprint of the public key that belongs to a private one.
///
/// # Errors
/// [`RequestError::Key`].
pub fn fingerprint_of_key(key: &PemFile) -> Result<Fingerprint, RequestError> {
    let text = std::str::from_utf8(key.bytes()).unwrap_or_default();
    let pair = KeyPair::from_pem(text).map_err(|_| RequestError::Key(key.name().to_owned()))?;
    Ok(Fingerprint::of(&pair.subject_public_key_info()))
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    key: PublicKey,
}

/// Why a request cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The file holds no request.
    #[error(
        "{0} is not a certificate request in PEM (-----BEGIN CERTIFICATE REQUEST-----): `resguardo office request` makes one"
    )]
    None(String),
    /// It was not made with the key that it asks to have signed, or was changed on its way.
    #[error("{0}: its signature is not that of its own key: ask for the file again")]
    Signature(String),
    /// The file holds no private key that can be used.
    #[error("{0} is not a private key in PEM")]
    Key(String),
}

impl Request {
    /// Reads a request and checks that its maker has the key.
    ///
    /// # Errors
    /// [`RequestError::None`], [`RequestError::Signature`].
    pub fn read(file: &PemFile) -> Result<Self, RequestError> {
        let none = || RequestError::None(file.name().to_owned());
        let der = CertificateSigningRequestDer::from_pem_slice(file.bytes()).map_err(|_| none())?;
        Self::of(&der, file.name())
    }

    /// Reads a request's DER and checks that its maker has the key; `name` is what errors call it.
    ///
    /// # Errors
    /// [`RequestError::None`], [`RequestError::Signature`].
    pub(super) fn of(der: &[u8], name: &str) -> Result<Self, RequestError> {
        match CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(der)) {
            Ok(params) => Ok(Self { key: params.public_key }),
            Err(rcgen::Error::InvalidCertificationRequestSignature) => {
                Err(RequestError::Signature(name.to_owned()))
            }
            Err(_) => Err(RequestError::None(name.to_owned())),
        }
    }

    /// The fingerprint of its key.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.key.subject_public_key_info())
    }

    pub(super) fn public_key(&self) -> &PublicKey {
        &self.key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Request, RequestError> {
        Request::read(&PemFile::new("request.pem", text))
    }

    #[test]
    fn a_request_carries_the_key_that_was_made() {
        let made = make().unwrap();
        let request = read(&made.request_pem).unwrap();
        let key = PemFile::new("key.pem", made.key_pem.as_str());
        assert_eq!(fingerprint_of_key(&key), Ok(request.fingerprint()));
        assert_ne!(read(&make().unwrap().request_pem).unwrap().fingerprint(), request.fingerprint());
    }

    #[test]
    fn what_is_no_request_or_was_changed_is_told() {
        let made = make().unwrap();
        for text in ["", "hello", &made.key_pem, &made.request_pem[..made.request_pem.len() / 2]] {
            let told = read(text).unwrap_err();
            assert!(told.to_string().contains("request.pem is not a certificate request"), "{told}");
        }
        // The last line of base64 is a part of the signature.
        let at = made.request_pem.trim_end().rfind("\n-----END").unwrap();
        let at = made.request_pem[..at].rfind('\n').unwrap() + 1;
        let mut changed = made.request_pem.clone();
        let other = if changed[at..].starts_with('A') { "B" } else { "A" };
        changed.replace_range(at..=at, other);
        assert_eq!(read(&changed).unwrap_err(), RequestError::Signature("request.pem".into()));
    }
}
