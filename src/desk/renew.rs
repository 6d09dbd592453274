//! A desk's next certificate: asked for and installed by itself, before the present one ends.
//!
//! Owns when to ask and what is done with the answer. Never trusts an authority that the home does not trust already, and
//! never installs a certificate for another key or another identity than its own.
//! At a crash the same request is handed in again, and gets the same answer; see `enrol` for the files.

use bytes::Bytes;
use tonic::transport::Channel;

use super::enrol::{self, EnrolError, Offer};
use super::home::{Home, HomeError};
use crate::host::clock::Clock;
use crate::model::id::UnixMicros;
use crate::wire::pem_file::PemFile;
use crate::wire::proto::RenewRequest;
use crate::wire::proto::enrolment_service_client::EnrolmentServiceClient;
use crate::wire::status::CallError;
use crate::wire::tls::TlsError;

/// How long before its end the next certificate is asked for, in microseconds: thirty days, so that requests can be carried
/// by hand.
const BEFORE_US: u64 = 30 * 86_400_000_000;

/// What became of a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renewed {
    /// The certificate does not end soon.
    NotDue,
    /// The hub has the request, and no answer yet.
    Waits,
    /// The next certificate is in its place.
    Installed {
        /// Its end.
        not_after: UnixMicros,
    },
    /// The authority refused; the next look asks with a new key.
    Refused {
        /// Why.
        why: String,
    },
}

/// Why a look failed.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// The present certificate or key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The home cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// A file of the home, or the answer, is not right.
    #[error(transparent)]
    Enrol(#[from] EnrolError),
    /// The hub did not take it.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The answer is of another authority.
    #[error("the answer is signed by an authority that this home does not trust: it is not installed")]
    Untrusted,
}

/// Looks whether the home needs its next certificate: asks for it, or installs the answer.
///
/// # Errors
/// [`RenewError`]; what was in the home stays in force.
pub async fn look(home: &Home, channel: Channel, clock: &dyn Clock) -> Result<Renewed, RenewError> {
    let credentials = home.credentials()?;
    if credentials.own()?.not_after.0.saturating_sub(clock.now().0) > BEFORE_US {
        return Ok(Renewed::NotDue);
    }
    let request: Bytes = {
        let _held = home.lock().await?;
        enrol::renewal(home.disk().as_ref(), home.dir(), &credentials)?
    };
    let mut client = EnrolmentServiceClient::new(channel);
    let answer = client.renew(RenewRequest { request }).await.map_err(CallError::from)?.into_inner().answer;
    let Some(answer) = answer else { return Ok(Renewed::Waits) };
    let _held = home.lock().await?;
    if answer.bundle.is_empty() {
        enrol::forget(home.disk().as_ref(), home.dir())?;
        return Ok(Renewed::Refused { why: answer.refusal });
    }
    let bundle = PemFile::new("the authority's answer", answer.bundle.to_vec());
    install(home, &bundle, clock)
}

/// Installs a bundle that nobody has compared: only what the home itself can check.
fn install(home: &Home, bundle: &PemFile, clock: &dyn Clock) -> Result<Renewed, RenewError> {
    let offer = Offer::read(home.disk().clone(), home.dir(), bundle, clock)?;
    if !offer.is_trusted() {
        return Err(RenewError::Untrusted);
    }
    let not_after = offer.certificate().not_after;
    offer.install(None, None)?;
    Ok(Renewed::Installed { not_after })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::desk::home::{Settings, TlsFiles};
    use crate::host::clock::ManualClock;
    use crate::host::disk::crash;
    use crate::host::disk::{Disk, MemoryDisk};
    use crate::host::random::SeededRandom;
    use crate::wire::certs::{self, Issued, Serial, Subject, Validity, issue_ca, issue_client};
    use crate::wire::renewal::Renewal;
    use crate::wire::request;
    use crate::wire::tls::{Credentials, client_config};

    const DESK: &str = "urn:resguardo:office:ohchr-honduras:desk-1";
    const NOW: UnixMicros = UnixMicros(1_767_225_600_000_000);

    fn validity(days: u64) -> Validity {
        Validity { not_before: NOW, not_after: UnixMicros(NOW.0 + days * 86_400_000_000) }
    }

    fn authority(name: &str) -> Issued {
        issue_ca(&name.parse().unwrap(), validity(900)).unwrap()
    }

    fn clock() -> ManualClock {
        ManualClock::at(UnixMicros(NOW.0 + 1))
    }

    /// A home whose certificate ends in ten days.
    fn home_of(disk: &MemoryDisk, ca: &Issued) -> Home {
        let issued = issue_client(ca, &DESK.parse().unwrap(), validity(10)).unwrap();
        let settings =
            Settings { identity: DESK.parse().unwrap(), hub: "a:1".into(), server_name: "a".into() };
        let files = TlsFiles { cert: &issued.certificate_pem, key: &issued.key_pem, ca: &ca.certificate_pem };
        Home::create(Arc::new(disk.clone()), Path::new("/home"), settings, files).unwrap()
    }

    fn file(disk: &MemoryDisk, name: &str) -> PemFile {
        PemFile::new(name, disk.read(&Path::new("/home/tls").join(name), 1 << 20).unwrap())
    }

    /// What a program of this home would connect with.
    fn credentials_on(disk: &MemoryDisk) -> Credentials {
        let key = file(disk, "key.pem");
        Credentials { authorities: file(disk, "ca.pem"), certificate: key.clone(), key }
    }

    fn ask(disk: &MemoryDisk) -> Bytes {
        enrol::renewal(disk, Path::new("/home"), &credentials_on(disk)).unwrap()
    }

    fn answered(ca: &Issued, asked: &Bytes, identity: &str) -> PemFile {
        let renewal = Renewal::read(asked).unwrap();
        let subject = Subject::Client(identity.parse().unwrap());
        let serial = Serial::draw(&SeededRandom::new(7));
        let pem = certs::sign(ca, &renewal.request, &subject, validity(300), &serial).unwrap();
        PemFile::new("the answer", format!("{pem}{}", ca.certificate_pem))
    }

    #[test]
    fn wherever_an_install_is_cut_off_the_home_can_connect_and_the_work_is_finished_later() {
        let (disk, ca) = (MemoryDisk::new(), authority("a"));
        disk.record();
        let home = home_of(&disk, &ca);
        let (asked, before) = (ask(&disk), credentials_on(&disk).own().unwrap());
        let bundle = answered(&ca, &asked, DESK);
        let ready = disk.recorded().len();
        install(&home, &bundle, &clock()).unwrap();
        let after = credentials_on(&disk).own().unwrap();
        assert_ne!(before.key, after.key);
        let (mut old, mut new) = (0, 0);
        crash::at_every_moment(&disk.recorded(), ready, |done, disk| {
            let found = credentials_on(&disk);
            let pair = client_config(&found, Arc::new(clock()));
            assert!(pair.is_ok(), "after operation {done}: {pair:?}");
            let home = Home::open(Arc::new(disk.clone()), Path::new("/home")).unwrap();
            if found.own().unwrap() == before {
                old += 1;
                assert_eq!(ask(&disk), asked, "the same request, so the same answer");
                install(&home, &bundle, &clock()).unwrap();
                assert_eq!(credentials_on(&disk).own().unwrap(), after);
            } else {
                new += 1;
                assert_eq!(found.own().unwrap(), after);
                let next = Renewal::read(&ask(&disk)).unwrap();
                assert_ne!(next.request.fingerprint(), after.key, "never a key that has a certificate");
            }
        });
        assert!(old > 0 && new > 0, "both sides of the one step were seen: {old}, {new}");
    }

    #[test]
    fn a_change_of_the_authority_leaves_a_home_that_knows_its_hub_at_every_moment() {
        let (disk, first, second) = (MemoryDisk::new(), authority("a"), authority("b"));
        disk.record();
        home_of(&disk, &first);
        let ready = disk.recorded().len();
        home_of(&disk, &second);
        crash::at_every_moment(&disk.recorded(), ready, |done, disk| {
            let found = credentials_on(&disk);
            assert!(client_config(&found, Arc::new(clock())).is_ok(), "after operation {done}");
            let own = PemFile::new("own", found.key.bytes());
            let trusted = String::from_utf8(found.authorities.bytes().to_vec()).unwrap();
            // The hub's certificate is of the same authority as the home's own.
            let of = |ca: &Issued| {
                let chain = PemFile::new("chain", [own.bytes(), ca.certificate_pem.as_bytes()].concat());
                crate::wire::chain::Chain::read(&chain, &clock()).is_ok()
            };
            let its_own = if of(&first) { &first } else { &second };
            assert!(
                of(its_own) && trusted.contains(its_own.certificate_pem.trim()),
                "after operation {done}"
            );
        });
        assert_eq!(
            file(&disk, "ca.pem").bytes(),
            second.certificate_pem.as_bytes(),
            "and no other in the end"
        );
    }

    #[test]
    fn what_is_for_another_key_identity_or_of_another_authority_is_not_installed() {
        let (disk, ca, other) = (MemoryDisk::new(), authority("a"), authority("a"));
        let home = home_of(&disk, &ca);
        let (asked, before) = (ask(&disk), credentials_on(&disk).own().unwrap());
        let foreign = install(&home, &answered(&other, &asked, DESK), &clock()).unwrap_err();
        assert!(matches!(foreign, RenewError::Untrusted), "{foreign}");
        let name = "urn:resguardo:office:iachr:desk-1";
        let other_name = install(&home, &answered(&ca, &asked, name), &clock()).unwrap_err();
        assert!(matches!(other_name, RenewError::Enrol(EnrolError::Other { .. })), "{other_name}");
        let made = request::make().unwrap();
        let present = credentials_on(&disk);
        let other_key =
            crate::wire::renewal::make(&made.request_pem, &present.certificate, &present.key).unwrap();
        let other_key = install(&home, &answered(&ca, &other_key, DESK), &clock()).unwrap_err();
        assert!(matches!(other_key, RenewError::Enrol(EnrolError::KeyForeign { .. })), "{other_key}");
        assert_eq!(credentials_on(&disk).own().unwrap(), before);
        // What was refused is let go of, and asked for with another key.
        enrol::forget(&disk, Path::new("/home")).unwrap();
        let again = Renewal::read(&ask(&disk)).unwrap();
        assert_ne!(again.request.fingerprint(), Renewal::read(&asked).unwrap().request.fingerprint());
    }
}
