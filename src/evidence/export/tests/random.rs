//! Random histories, and bytes changed at random.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use proptest::prelude::*;

use super::history::{Export, History, verified};
use crate::evidence::export::{Exported, Frame};
use crate::evidence::tests::sample::{OFFICES, name};
use crate::model::envelope::MessageClass;
use crate::model::receipt::Stage;

/// Something that happens.
#[derive(Clone, Debug)]
enum Happens {
    /// An office publishes to the others of a set.
    Publish(usize, u8),
    /// An office has received the messages so many places back.
    Received(usize, Vec<usize>),
    /// An office reads a message.
    Read(usize, usize),
    Amend(u32),
    Noise,
}

fn happens() -> impl Strategy<Value = Happens> {
    let office = 0..OFFICES.len();
    prop_oneof![
        4 => (office.clone(), 1..7_u8).prop_map(|(from, to)| Happens::Publish(from, to)),
        4 => (office.clone(), proptest::collection::vec(0..9_usize, 1..4)).prop_map(|(o, m)| Happens::Received(o, m)),
        3 => (office, 0..9_usize).prop_map(|(office, back)| Happens::Read(office, back)),
        1 => (1..3_000_u32).prop_map(Happens::Amend),
        1 => Just(Happens::Noise),
    ]
}

/// By hand: what was published in entries, for whom, and the first statements of each.
#[derive(Default)]
struct Model {
    published: BTreeMap<u64, BTreeSet<usize>>,
    first: BTreeMap<(u64, usize, Stage), u64>,
}

fn made(all: &[Happens]) -> (History, Model) {
    let (mut history, mut model) = (History::founded(), Model::default());
    for one in all {
        let index = history.next();
        let back = |office: usize, back: usize| {
            let mine: Vec<_> = model.published.iter().filter(|(_, to)| to.contains(&office)).collect();
            mine.len().checked_sub(back + 1).map(|at| *mine[at].0)
        };
        match one {
            Happens::Publish(from, to) => {
                let to: BTreeSet<_> =
                    (0..OFFICES.len()).filter(|it| it != from && to >> it & 1 == 1).collect();
                if !to.is_empty() {
                    let names: Vec<_> = to.iter().map(|it| OFFICES[*it].0).collect();
                    history.publish(OFFICES[*from].0, &names, None);
                    model.published.insert(index, to);
                }
            }
            Happens::Received(office, places) => {
                let messages: BTreeSet<_> = places.iter().filter_map(|it| back(*office, *it)).collect();
                if !messages.is_empty() {
                    history.received(OFFICES[*office].0, &messages.iter().copied().collect::<Vec<_>>());
                    for message in messages {
                        model.first.entry((message, *office, Stage::Received)).or_insert(index);
                    }
                }
            }
            Happens::Read(office, place) => {
                if let Some(message) = back(*office, *place) {
                    history.read(OFFICES[*office].0, message);
                    model.first.entry((message, *office, Stage::Read)).or_insert(index);
                }
            }
            Happens::Amend(days) => history.amend(*days),
            Happens::Noise => history.noise(),
        }
    }
    (history, model)
}

fn agrees(proved: &Exported, model: &Model, seen: impl Fn(u64) -> bool) -> Result<(), TestCaseError> {
    let real = &proved.statistics.real;
    let published = model.published.iter().filter(|(index, _)| seen(**index));
    prop_assert_eq!(real.published.values().sum::<u64>(), published.clone().count() as u64);
    for (place, (office, ..)) in OFFICES.iter().enumerate() {
        let counted = real.offices.get(&(MessageClass::Alert, name(office))).cloned().unwrap_or_default();
        let messages = published.clone().filter(|(_, to)| to.contains(&place)).count();
        prop_assert_eq!(counted.messages, messages as u64);
        for stage in [Stage::Received, Stage::Read] {
            let first = model
                .first
                .iter()
                .filter(|((message, of, at), _)| *of == place && *at == stage && seen(*message));
            let times: Vec<_> = first.map(|((message, ..), index)| (index - message) * 1_000_000).collect();
            prop_assert_eq!(counted.stage(stage).count(), times.len() as u64);
            prop_assert_eq!(counted.stage(stage).longest_us(), times.into_iter().max());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_history_is_read_back_as_it_happened(
        all in proptest::collection::vec(happens(), 1..24),
        hidden in proptest::collection::btree_set(1..24_u64, 0..4),
        ends in any::<[prop::sample::Index; 2]>(),
    ) {
        let (history, model) = made(&all);
        let size = history.entries.len();
        let whole = history.export(0, size as u64, &BTreeSet::new()).verify().unwrap();
        prop_assert_eq!((whole.statistics.hidden, whole.statistics.uncounted.count), (0, 0));
        agrees(&whole, &model, |_| true)?;

        // A part: what is before it, or hidden, is not counted; a receipt that is hidden would change a time, so none is.
        let [from, until] = ends.map(|it| it.index(size) as u64);
        let (from, until) = (from.min(until), from.max(until) + 1);
        let hidden = hidden.into_iter().filter(|it| model.published.contains_key(it)).collect::<BTreeSet<_>>();
        let export = history.export(from, until, &hidden);
        let part = export.verify().unwrap();
        prop_assert_eq!(part.statistics.hidden, hidden.range(from..until).count() as u64);
        prop_assert_eq!(part.statistics.uncounted.count, 0);
        prop_assert_eq!(part.entries(), until - from);
        let seen = |index: u64| (from..until).contains(&index) && !hidden.contains(&index);
        let within = Model {
            published: model.published.clone(),
            first: model.first.iter().filter(|(_, at)| **at < until).map(|(it, at)| (*it, *at)).collect(),
        };
        agrees(&part, &within, seen)?;
    }
}

static MADE: LazyLock<(Export, Vec<u8>, Exported)> = LazyLock::new(|| {
    let mut history = History::founded();
    let one = history.publish("ohchr-mexico", &["iachr"], None);
    history.received("iachr", &[one]);
    history.read("iachr", one);
    history.noise();
    history.noise();
    let export = history.export(1, 5, &BTreeSet::from([4]));
    let (bytes, proved) = (export.bytes(), export.verify().unwrap());
    (export, bytes, proved)
});

/// Each byte of what happened but for the middles of signatures and keys, whose bytes are hashed like all others; of those and of
/// the directory, which is far longer, one in many.
#[test]
fn every_byte_that_is_changed_is_noticed() {
    let (export, bytes, _) = &*MADE;
    let long = |frame: &Frame| frame.to_bytes().len();
    let range = bytes.len() - export.frames[export.range()..].iter().map(long).sum::<usize>();
    let mut places: Vec<usize> = (0..range).step_by(197).chain(0..400).collect();
    let mut begin = range;
    for frame in &export.frames[export.range()..] {
        let end = begin + long(frame);
        places.extend((begin..end).filter(|at| at - begin < 250 || end - at < 150 || at % 31 == 0));
        begin = end;
    }
    assert_eq!(begin, bytes.len());
    for at in places {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(verified(&changed, export.trust).is_err(), "byte {at} of {}", bytes.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn bytes_that_were_taken_out_or_put_in_prove_nothing_else(
        from in any::<prop::sample::Index>(), cut in 0..200_usize, put in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let (export, made, proved) = &*MADE;
        let mut bytes = made.clone();
        let from = from.index(bytes.len());
        let to = (from + cut).min(bytes.len());
        bytes.splice(from..to, put);
        if let Ok(found) = verified(&bytes, export.trust) {
            prop_assert_eq!((&found, &bytes), (proved, made));
        }
    }
}
