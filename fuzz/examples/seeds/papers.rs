//! What offices, an authority and registrars hand to each other, and what people write.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use resguardo::host::random::SeededRandom;
use resguardo::hub::config::Config;
use resguardo::model::epoch::EpochId;
use resguardo::model::fact::DeskKeys;
use resguardo::model::id::UnixMicros;
use resguardo::model::identity::Identity;
use resguardo::seal::key_file::{Plain, SecretKey, WorkFactor, plain, wrapped};
use resguardo::seal::{OfficeFingerprint, OpeningKey};
use resguardo::wire::certs::{
    HubAddress, Revocation, Serial, Validity, issue_ca, issue_client, issue_server, sign_revocations,
};
use resguardo::wire::fingerprint::Fingerprint;
use resguardo::wire::key_request::{KeyRequest, registrar_text};
use resguardo::wire::pem_file::PemFile;
use resguardo::wire::{proto, renewal, request, restored};
use resguardo_fuzz::exchange::{NOW, desk, key, name, trust};

use crate::{PERSONS, Result, Write};

/// What stands in PEM.
fn der(pem: &str) -> Result<Vec<u8>> {
    let lines = pem.lines().skip_while(|it| !it.starts_with("-----BEGIN")).skip(1);
    let base64: String = lines.take_while(|it| !it.starts_with("-----END")).collect();
    Ok(STANDARD.decode(base64)?)
}

/// Of `papers`.
pub fn papers(write: &Write<'_>) -> Result<()> {
    let day_us = 86_400_000_000;
    let validity =
        Validity { not_before: UnixMicros(NOW.0 - day_us), not_after: UnixMicros(NOW.0 + 900 * day_us) };
    let ca = issue_ca(&name("authority"), validity)?;
    write("papers", "authority.pem", ca.certificate_pem.as_bytes())?;
    let write = |choice: u8, name: &str, bytes: &[u8]| write("papers", name, &[&[choice], bytes].concat());
    let client = issue_client(&ca, &Identity::Desk(desk("iachr")), validity)?;
    let addresses = [HubAddress::Dns("hub.example".into()), HubAddress::Ip([127, 0, 0, 1].into())];
    let server = issue_server(&ca, &name("one"), &addresses, validity)?;
    write(0, "client", &der(&client.certificate_pem)?)?;
    write(0, "server", &der(&server.certificate_pem)?)?;
    let made = request::make()?;
    write(1, "request", &der(&made.request_pem)?)?;
    let serial = Serial::draw(&SeededRandom::new(1));
    let revoked = [Revocation { serial, at: NOW }];
    let list = sign_revocations(&ca, &revoked, NOW, UnixMicros(NOW.0 + day_us))?;
    write(2, "list", &der(&list)?)?;
    for (name, issued) in [("renewal", &client), ("renewal-hub", &server)] {
        let (cert, key) = (&issued.certificate_pem, &issued.key_pem);
        let (cert, key) = (PemFile::new("cert.pem", cert.as_str()), PemFile::new("key.pem", key.as_str()));
        let asked = renewal::make(&made.request_pem, &cert, &key)?;
        write(3, name, &asked)?;
        let answer = proto::RenewalAnswer { refusal: "no".into(), ..Default::default() };
        write(4, &format!("{name}-file"), &renewal::file(vec![asked], vec![answer]))?;
    }
    write(5, "bundle", [&client.certificate_pem[..], &ca.certificate_pem].concat().as_bytes())?;
    write(5, "list-pem", list.as_bytes())?;
    write(5, "request-pem", made.request_pem.as_bytes())?;
    write(5, "key-pem", made.key_pem.as_bytes())?;
    let opening = OpeningKey::from_seed(&[3; 32]);
    let keys = DeskKeys {
        attended: key(1).verifying_key(),
        unattended: key(2).verifying_key(),
        transfer: opening.recipient(),
    };
    let request = KeyRequest { keys, recipient: Some(opening.recipient()) };
    write(6, "desk-keys", request.to_text().as_bytes())?;
    let registrar = registrar_text(&name("iachr"), &name("iachr"), &key(3).verifying_key());
    write(6, "registrar", registrar.as_bytes())?;
    write(6, "signs", key(4).to_text().as_bytes())?;
    write(6, "opens", opening.to_text().as_bytes())?;
    let secret = SecretKey::Signing(key(5));
    write(7, "plain", plain(&secret, Plain::Unattended)?.as_bytes())?;
    write(7, "wrapped", wrapped(&secret, "a passphrase", WorkFactor::TEST)?.as_bytes())
}

/// Of `text`.
pub fn text(write: &Write<'_>) -> Result<()> {
    let write =
        |choice: u8, name: &str, text: &str| write("text", name, &[&[choice], text.as_bytes()].concat());
    let config = "name = 'one'\nlisten = '127.0.0.1:1'\nmetrics = '127.0.0.1:9464'\n";
    write(0, "hub", &Config::parse(config)?.to_text())?;
    let home =
        format!("identity = '{}'\nhub = 'hub.example:7443'\nserver_name = 'hub.example'\n", desk("iachr"));
    write(1, "desk", &home)?;
    write(2, "trust", &trust().to_text())?;
    write(3, "founding", include_str!("../../../certs-dev/offices.toml"))?;
    write(4, "persons", PERSONS)?;
    write(5, "restored", &restored::to_text(EpochId(7), 9, &[3; 32]))?;
    let fingerprint = OfficeFingerprint::of(&[key(1).verifying_key().id()], None).to_string();
    for (name, word) in [
        ("desk-name", desk("iachr").to_string()),
        ("hub-name", "urn:resguardo:hub:one".to_owned()),
        ("within", "15 min".to_owned()),
        ("fingerprint", Fingerprint::of(b"a certificate").grouped()),
        ("office-fingerprint", fingerprint),
        ("serial", Serial::draw(&SeededRandom::new(1)).to_string()),
        ("recipient", OpeningKey::from_seed(&[3; 32]).recipient().to_string()),
        ("key", key(1).verifying_key().to_string()),
    ] {
        write(6, name, &word)?;
    }
    Ok(())
}
