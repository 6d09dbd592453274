//! Forgeries by a hub and all its witnesses: the tree and its checkpoints are made anew over what they want.

use bytes::Bytes;
use prost::Message as _;
use resguardo::model::entry::{Entry, EntryKind};
use resguardo::model::id::Index;
use resguardo::model::overdue::Missed;
use resguardo::model::receipt::Stage;
use resguardo::seal::{Kind, SigningKey};
use resguardo::wire::signed::{Signed, SignedEnvelope, SignedReceipt};
use resguardo::wire::{convert, erasure, proto};

use crate::forged::Forgery::{self, Colluding};
use crate::world::World;

pub(crate) const FORGERIES: &[(&str, Forgery)] = &[
    (
        "a time before the one before",
        Colluding(|it| {
            let earlier = it.entries[0].time;
            about(it, |_| true, |entry, _| entry.time.0 = earlier.0 - 1)
        }),
    ),
    (
        "somebody else's entry",
        Colluding(|it| {
            about(it, |_| true, |entry, _| entry.identity = "urn:resguardo:office:office-0:desk-9".into())
        }),
    ),
    (
        "a deadline that an office says was missed",
        Colluding(|it| {
            about(
                it,
                |it| it.kind == EntryKind::Overdue,
                |entry, _| {
                    entry.identity = "urn:resguardo:office:office-0:desk-1".into();
                },
            )
        }),
    ),
    (
        "a stage raised",
        Colluding(|it| {
            about(it, is_receipt, |entry, _| {
                resaid(entry, |it: &mut proto::Receipt| it.stage = if it.stage == 3 { 2 } else { 3 });
            })
        }),
    ),
    (
        "another time in a receipt",
        Colluding(|it| {
            about(it, is_receipt, |entry, _| {
                resaid(entry, |it: &mut proto::Receipt| it.at_unix_us += 1);
            })
        }),
    ),
    (
        "no signature",
        Colluding(|it| {
            about(it, is_receipt, |entry, _| {
                signatures(entry, Vec::clear);
            })
        }),
    ),
    (
        "two signatures",
        Colluding(|it| {
            about(it, is_receipt, |entry, _| {
                signatures(entry, |it| it.push(it[0].clone()));
            })
        }),
    ),
    (
        "half a signature",
        Colluding(|it| {
            about(it, is_receipt, |entry, _| {
                signatures(entry, |it| it[0].ed25519 = vec![1; 64].into());
            })
        }),
    ),
    (
        "the other half",
        Colluding(|it| {
            about(it, is_receipt, |entry, _| {
                signatures(entry, |it| it[0].ml_dsa_44 = Bytes::new());
            })
        }),
    ),
    (
        "a receipt signed with another office's key",
        Colluding(|it| {
            let key = stranger(it);
            about(it, is_receipt, |entry, _| resigned(entry, &key, |_| {}))
        }),
    ),
    (
        "a receipt of another message",
        Colluding(|it| {
            by_its_desk(it, |it| {
                it.messages.truncate(1);
                it.messages[0].digest[0] ^= 1;
            })
        }),
    ),
    (
        "a person's stage without a note",
        Colluding(|it| {
            by_its_desk(it, |it| {
                it.stage = Stage::Read;
                it.messages.truncate(1);
                (it.note_digest, it.action) = (None, None);
            })
        }),
    ),
    (
        "an action that is none",
        Colluding(|it| {
            by_its_desk(it, |it| {
                it.stage = Stage::Acted;
                it.messages.truncate(1);
                (it.note_digest, it.action) = (Some([1; 32]), None);
            })
        }),
    ),
    (
        "an action beside a machine's stage",
        Colluding(|it| {
            by_its_desk(it, |it| {
                (it.stage, it.note_digest) = (Stage::Received, None);
                it.action = Some(resguardo::model::receipt::Action::AskedState);
            })
        }),
    ),
    (
        "not readable, for no reason",
        Colluding(|it| {
            by_its_desk(it, |it| {
                (it.stage, it.note_digest, it.action) = (Stage::Unreadable, None, None);
                it.messages.truncate(1);
                it.reason.clear();
            })
        }),
    ),
    (
        "a reason beside what was read",
        Colluding(|it| {
            by_its_desk(it, |it| {
                (it.stage, it.note_digest, it.action) = (Stage::Received, None, None);
                it.reason = "why".into();
            })
        }),
    ),
    (
        "a deadline of another message",
        Colluding(|it| {
            overdue(it, |it| {
                if let Missed::Stage { message, .. } | Missed::FollowUp { message, .. } = it {
                    message.index.0 += 1;
                }
            })
        }),
    ),
    (
        "a deadline of another status",
        Colluding(|it| {
            overdue(it, |it| {
                if let Missed::Stage { status, .. } = it {
                    *status = resguardo::model::envelope::CapStatus::Draft;
                }
            })
        }),
    ),
    (
        "a deadline of a month",
        Colluding(|it| {
            about(
                it,
                |it| it.kind == EntryKind::Overdue,
                |entry, _| {
                    let mut wire =
                        proto::Overdue::decode(entry.statement.clone()).expect("it was written so");
                    wire.missed = None;
                    entry.statement = wire.encode_to_vec().into();
                },
            )
        }),
    ),
    (
        "kept as long as policy asks, before it was published",
        Colluding(|it| {
            about(
                it,
                |it| it.kind == EntryKind::Erasure,
                |entry, message| {
                    entry.identity = crate::world::HUB.into();
                    entry.statement = erasure::retention_bytes(Index(message.0.saturating_sub(1)));
                },
            )
        }),
    ),
    (
        "an order to erase it that nobody signed",
        Colluding(|it| {
            about(
                it,
                |it| it.kind == EntryKind::Erasure,
                |entry, _| {
                    let mut wire =
                        proto::Erasure::decode(entry.statement.clone()).expect("it was written so");
                    if let Some(proto::erasure::Erasure::Ordered(order)) = &mut wire.erasure {
                        let mut signed =
                            proto::Signed::decode(order.order.clone()).expect("it was written so");
                        signed.signatures[0].ed25519 = vec![1; 64].into();
                        order.order = signed.encode_to_vec().into();
                    }
                    entry.statement = wire.encode_to_vec().into();
                },
            )
        }),
    ),
    (
        "another priority",
        Colluding(|it| {
            message(it, |entry| {
                resaid(entry, |it: &mut proto::Envelope| it.priority = 3);
            })
        }),
    ),
    (
        "a message signed with another office's key",
        Colluding(|it| {
            let key = stranger(it);
            republished(it, Some(key), |_| {})
        }),
    ),
    (
        "a version of the directory that is not there",
        Colluding(|it| republished(it, None, |it| it.directory_version.0 += 1_000)),
    ),
    (
        "a recipient that is no office",
        Colluding(|it| {
            republished(it, None, |it| {
                it.recipients[0].office = crate::world::name("office-99");
            })
        }),
    ),
    ("no recipient", Colluding(|it| republished(it, None, |it| it.recipients.clear()))),
    (
        "a recipient twice",
        Colluding(|it| {
            republished(it, None, |it| {
                let again = it.recipients[0].clone();
                it.recipients.push(again);
            })
        }),
    ),
    (
        "the sender among the recipients",
        Colluding(|it| {
            republished(it, None, |it| {
                it.recipients[0].office = it.sender.office.clone();
            })
        }),
    ),
    ("a payload of no bytes", Colluding(|it| republished(it, None, |it| it.payload_bytes = 0))),
    (
        "an entry of the directory that one registrar signed",
        Colluding(|it| {
            directory(it, |signed| {
                signed.truncate(1);
            })
        }),
    ),
    (
        "an entry of the directory with half a signature",
        Colluding(|it| {
            directory(it, |signed| {
                signed[0].ed25519 = vec![1; 64].into();
            })
        }),
    ),
    ("an entry of the directory that nobody signed", Colluding(|it| directory(it, Vec::clear))),
];

fn is_receipt(entry: &Entry) -> bool {
    entry.kind == EntryKind::Receipt
}

/// Changes one of the entries about the message.
fn about(world: &mut World, which: fn(&Entry) -> bool, change: impl FnOnce(&mut Entry, Index)) -> bool {
    let there: Vec<_> = world.about.iter().copied().filter(|it| which(world.entry(*it))).collect();
    if there.is_empty() {
        return false;
    }
    let (index, message) = (*world.chance.of(&there), world.messages[world.main].covered.index);
    // It is in the file for sure, and nothing of the same kind beside it.
    world.about = vec![index];
    change(&mut world.entries[usize::try_from(index.0).expect("it is small")], message);
    true
}

/// Changes what is signed of a receipt or an envelope, and leaves the signatures. An envelope's `Signed` has fewer fields.
fn resaid<M: prost::Message + Default>(entry: &mut Entry, change: impl FnOnce(&mut M)) {
    let mut signed = proto::SignedReceipt::decode(entry.statement.clone()).expect("it was written so");
    let mut said = M::decode(signed.statement.clone()).expect("it was written so");
    change(&mut said);
    signed.statement = said.encode_to_vec().into();
    entry.statement = signed.encode_to_vec().into();
}

fn signatures(entry: &mut Entry, change: impl FnOnce(&mut Vec<proto::Signature>)) {
    let mut signed = proto::SignedReceipt::decode(entry.statement.clone()).expect("it was written so");
    change(&mut signed.signatures);
    entry.statement = signed.encode_to_vec().into();
}

fn own_key() -> SigningKey {
    SigningKey::from_seeds(&[3; 64])
}

/// A key of a desk that did not state anything.
fn stranger(world: &World) -> SigningKey {
    let sender = &world.messages[world.main].sender;
    let mut others = world.desks.iter().filter(|it| it.desk != *sender);
    let key = others.next_back().and_then(|it| it.unattended.last()).map(crate::happens::again);
    key.unwrap_or_else(own_key)
}

/// Signs a receipt anew, after a change.
fn resigned(
    entry: &mut Entry,
    key: &SigningKey,
    change: impl FnOnce(&mut resguardo::model::receipt::Receipt),
) {
    let mut receipt = SignedReceipt::read(&entry.statement).expect("it was written so").receipt;
    change(&mut receipt);
    entry.statement = SignedReceipt::by(key, receipt, [6; 32]).to_bytes();
}

/// The same with the key of the desk itself: it lies, or its program is wrong.
fn by_its_desk(world: &mut World, change: fn(&mut resguardo::model::receipt::Receipt)) -> bool {
    let keys: Vec<_> = world
        .desks
        .iter()
        .map(|it| (it.desk.to_string(), crate::happens::again(it.attended.last().expect("each has keys"))))
        .collect();
    about(world, is_receipt, |entry, message| {
        let key = keys.iter().find(|it| it.0 == entry.identity).expect("a desk stated it");
        resigned(entry, &key.1, |receipt| {
            receipt.messages.retain(|it| it.index == message);
            change(receipt);
        });
    })
}

fn overdue(world: &mut World, change: fn(&mut Missed)) -> bool {
    about(
        world,
        |it| it.kind == EntryKind::Overdue,
        |entry, _| {
            let mut overdue = convert::overdue(&entry.statement).expect("it was written so");
            change(&mut overdue.missed);
            entry.statement = convert::overdue_bytes(&overdue);
        },
    )
}

fn message(world: &mut World, change: impl FnOnce(&mut Entry)) -> bool {
    let index = world.messages[world.main].covered.index;
    change(&mut world.entries[usize::try_from(index.0).expect("it is small")]);
    true
}

/// Signs the message anew after a change, with the sender's own key where no other is given.
fn republished(
    world: &mut World,
    key: Option<SigningKey>,
    change: fn(&mut resguardo::model::envelope::Envelope),
) -> bool {
    world.about.clear();
    let sender = world.messages[world.main].sender.clone();
    let held = world.desks.iter().find(|it| it.desk == sender).expect("a desk sent it");
    let signed = SignedEnvelope::read(&world.entry(world.messages[world.main].covered.index).statement);
    let SignedEnvelope { mut envelope, signed } = signed.expect("it was written so");
    // The key that it was signed with: a newer one did not count there.
    let own = held.attended.iter().find(|it| signed.signatures[0].0 == it.verifying_key().id());
    let key = key.unwrap_or_else(|| crate::happens::again(own.expect("it has signed it")));
    change(&mut envelope);
    let signed = Signed::by(&key, Kind::Envelope, convert::envelope_bytes(&envelope));
    message(world, |entry| entry.statement = signed.to_bytes())
}

/// Changes the signatures under one of the entries of the directory before the message.
fn directory(world: &mut World, change: impl FnOnce(&mut Vec<proto::Signature>)) -> bool {
    use proto::directory_entry::Entry as Wire;
    let there: Vec<_> = world
        .entries
        .iter()
        .filter(|it| it.kind == EntryKind::Directory && it.index < world.messages[world.main].covered.index)
        .map(|it| it.index.0)
        .collect();
    let place = usize::try_from(*world.chance.of(&there)).expect("it is small");
    let entry = &mut world.entries[place];
    let mut wire = proto::DirectoryEntry::decode(entry.statement.clone()).expect("it was written so");
    let Some(Wire::Amendment(bytes) | Wire::Rotation(bytes)) = &mut wire.entry else { return false };
    let mut signed = proto::Signed::decode(bytes.clone()).expect("it was written so");
    change(&mut signed.signatures);
    *bytes = signed.encode_to_vec().into();
    entry.statement = wire.encode_to_vec().into();
    true
}
