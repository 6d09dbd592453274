//! The authority on a disk in memory: what it signs, what it knows of it, what it takes back.

use super::*;
use crate::host::clock::ManualClock;
use crate::host::disk::MemoryDisk;
use crate::host::random::SeededRandom;
use crate::wire::chain::Chain;
use crate::wire::request;
use crate::wire::revocations::Revocations;

const NOW: UnixMicros = UnixMicros(1_767_225_600_000_000);
const DESK: &str = "urn:resguardo:office:ohchr-peru:desk-1";

fn home() -> PathBuf {
    PathBuf::from("/ca")
}

fn founded(disk: &MemoryDisk) -> Authority {
    let validity = Validity { not_before: NOW, not_after: UnixMicros(NOW.0 + days_us(400)) };
    Authority::found(Arc::new(disk.clone()), &home(), &"joint".parse().unwrap(), validity).unwrap()
}

fn request() -> Request {
    Request::read(&PemFile::new("request.pem", request::make().unwrap().request_pem)).unwrap()
}

fn sign(authority: &mut Authority, request: &Request, seed: u64, days: u32) -> Result<Bundle, CaError> {
    let subject = Subject::Client(DESK.parse().unwrap());
    authority.sign(request, &subject, days, NOW, &SeededRandom::new(seed))
}

#[test]
fn a_certificate_names_whom_the_signer_said_and_the_key_that_was_asked_for() {
    let disk = MemoryDisk::new();
    let mut authority = founded(&disk);
    let request = request();
    let bundle = sign(&mut authority, &request, 1, 365).unwrap();
    let chain = Chain::read(&PemFile::new("bundle.pem", bundle.pem), &ManualClock::at(NOW)).unwrap();
    assert_eq!(chain.certificate, bundle.certificate);
    assert_eq!(chain.certificate.identity.unwrap().to_string(), DESK);
    assert_eq!(chain.certificate.key, request.fingerprint());
    assert_eq!(chain.authority, authority.fingerprint());
    assert!(matches!(sign(&mut authority, &request, 2, 401), Err(CaError::Outlives { days: 401, .. })));
    assert_eq!(authority.signed().len(), 1);
}

#[test]
fn what_was_signed_is_known_after_it_was_opened_again_and_others_that_count_are_told() {
    let disk = MemoryDisk::new();
    let mut authority = founded(&disk);
    let first = sign(&mut authority, &request(), 1, 365).unwrap();
    assert!(first.others.is_empty());
    drop(authority);
    let mut authority = Authority::open(Arc::new(disk.clone()), &home()).unwrap();
    let second = sign(&mut authority, &request(), 2, 365).unwrap();
    let others: Vec<_> = second.others.iter().map(|one| one.serial.clone()).collect();
    assert_eq!(others, [first.certificate.serial]);
    assert!(matches!(Authority::open(Arc::new(disk.clone()), &home()), Err(CaError::Busy(_))));
    drop(authority);
    let again = Authority::found(
        Arc::new(disk),
        &home(),
        &"joint".parse().unwrap(),
        Validity { not_before: NOW, not_after: UnixMicros(NOW.0 + 1) },
    );
    assert!(matches!(again, Err(CaError::There(_))));
}

#[test]
fn a_list_holds_what_was_taken_back_until_it_ends_by_itself() {
    let disk = MemoryDisk::new();
    let mut authority = founded(&disk);
    let [short, long] =
        [(1, 10), (2, 365)].map(|(seed, days)| sign(&mut authority, &request(), seed, days).unwrap());
    let (short, long) = (short.certificate.serial, long.certificate.serial);
    let list = |authority: &Authority, now| {
        let path = authority.write_list(30, now).unwrap();
        let bytes = disk.read(&path, FILE_BYTES_MAX).unwrap();
        let own = PemFile::new("cert.pem", authority.certificate_pem());
        Revocations::read(&PemFile::new("crl.pem", bytes), &own).unwrap()
    };
    assert!(list(&authority, NOW).is_empty());
    let (taken, _) = authority.revoke(&Which::Serial(short.clone()), "lost", 30, NOW).unwrap();
    assert_eq!(taken.len(), 1);
    assert!(list(&authority, NOW).holds(&short) && !list(&authority, NOW).holds(&long));
    let of_desk = Which::Of(DESK.parse().unwrap());
    let (taken, _) = authority.revoke(&of_desk, "closed", 30, NOW).unwrap();
    assert_eq!(
        taken.iter().map(|one| &one.serial).collect::<Vec<_>>(),
        [&long],
        "the other is taken already"
    );
    // A crash may have come between register and list.
    disk.remove(&home().join("crl.pem")).unwrap();
    let (again, path) = authority.revoke(&of_desk, "again", 30, NOW).unwrap();
    assert!(again.is_empty() && disk.read(&path, FILE_BYTES_MAX).is_ok());
    let nobody = Which::Of("urn:resguardo:auditor:nobody".parse().unwrap());
    assert!(matches!(authority.revoke(&nobody, "lost", 30, NOW), Err(CaError::Unknown(_))));
    drop(authority);
    let authority = Authority::open(Arc::new(disk.clone()), &home()).unwrap();
    let later = list(&authority, UnixMicros(NOW.0 + days_us(11)));
    assert!(!later.holds(&short) && later.holds(&long), "what has ended needs no list");
}

#[test]
fn a_damaged_register_is_told_with_its_line_and_nothing_is_signed() {
    let disk = MemoryDisk::new();
    let mut authority = founded(&disk);
    sign(&mut authority, &request(), 1, 365).unwrap();
    drop(authority);
    let path = home().join("register");
    let mut bytes = disk.read(&path, FILE_BYTES_MAX).unwrap();
    bytes.extend(b"{\"serial\": \"xy\"}\n");
    disk.write_atomically(&path, &bytes).unwrap();
    let opened = Authority::open(Arc::new(disk), &home());
    assert!(matches!(opened, Err(CaError::Register { line: 2, .. })), "{:?}", opened.err());
}
