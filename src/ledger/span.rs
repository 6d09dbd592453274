//! One office's span of the journal: which of its indexes the office was owed, and which receipts it stated of them.
//!
//! Owns the shape and the bytes of a span. Never knows messages or receipts themselves.

use bytes::{Buf, BufMut};
use prost::encoding::{decode_varint, encode_varint};

use crate::model::id::Index;
use crate::model::receipt::Stage;

/// Indexes of a span, as a power of two: a place then takes a byte.
pub(super) const SPAN_BITS: u32 = 8;

const WORDS: usize = 1 << (SPAN_BITS - 6);
const OWED: u8 = 1;
const URGENT: u8 = 2;
const NOTICES: u8 = 4;
const SINGLE: u8 = 0x80;

/// A set of places in a span: 0 to 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Places([u64; WORDS]);

/// What an office was owed and stated in one span of indexes.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Span {
    /// Messages that it was ever owed.
    pub(super) owed: Places,
    /// Those of them that are urgent.
    pub(super) urgent: Places,
    /// Notices that it was ever owed.
    pub(super) notices: Places,
    /// What was stated first of each place and stage, by ascending receipt.
    pub(super) statements: Vec<Statement>,
}

/// Places of which a receipt was the first to state its stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    /// The stage.
    pub(super) stage: Stage,
    /// The receipt's index.
    pub(super) receipt: Index,
    /// The places.
    pub(super) places: Places,
}

impl Places {
    /// Tells which span an index is in, and where.
    pub(super) fn of(index: Index) -> (u64, u8) {
        (index.0 >> SPAN_BITS, index.0.to_be_bytes()[7])
    }

    /// The index at a place of a span.
    pub(super) fn index(span: u64, place: u8) -> Index {
        Index(span << SPAN_BITS | u64::from(place))
    }

    pub(super) fn insert(&mut self, place: u8) {
        self.0[usize::from(place >> 6)] |= 1 << (place & 63);
    }

    pub(super) fn contains(&self, place: u8) -> bool {
        self.0[usize::from(place >> 6)] >> (place & 63) & 1 == 1
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0 == [0; WORDS]
    }

    pub(super) fn len(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    pub(super) fn or(self, other: Self) -> Self {
        self.combine(other, |a, b| a | b)
    }

    pub(super) fn and(self, other: Self) -> Self {
        self.combine(other, |a, b| a & b)
    }

    pub(super) fn minus(self, other: Self) -> Self {
        self.combine(other, |a, b| a & !b)
    }

    fn combine(self, other: Self, with: impl Fn(u64, u64) -> u64) -> Self {
        Self(std::array::from_fn(|word| with(self.0[word], other.0[word])))
    }

    /// Those before a place.
    pub(super) fn before(self, place: u8) -> Self {
        let mut all = Self::default();
        let word = usize::from(place >> 6);
        all.0[..word].fill(u64::MAX);
        all.0[word] = (1 << (place & 63)) - 1;
        self.and(all)
    }

    /// The places, ascending.
    pub(super) fn iter(self) -> impl Iterator<Item = u8> {
        (0..4_u8).flat_map(move |number| {
            let mut word = self.0[usize::from(number)];
            std::iter::from_fn(move || {
                let bit = u8::try_from(word.trailing_zeros()).ok().filter(|bit| *bit < 64)?;
                word &= word - 1;
                Some(number << 6 | bit)
            })
        })
    }

    /// The places, ascending, each with those that follow it without a gap: the first and the last.
    pub(super) fn runs(self) -> impl Iterator<Item = (u8, u8)> {
        let mut places = self.iter().peekable();
        std::iter::from_fn(move || {
            let first = places.next()?;
            let mut last = first;
            while let Some(next) = places.next_if(|next| *next == last + 1) {
                last = next;
            }
            Some((first, last))
        })
    }
}

impl Span {
    /// Places of which a stage was stated.
    pub(super) fn stated(&self, stage: Stage) -> Places {
        self.any_of(&[stage])
    }

    /// Places of which one of these stages was stated.
    pub(super) fn any_of(&self, stages: &[Stage]) -> Places {
        let of_stage = self.statements.iter().filter(|it| stages.contains(&it.stage));
        of_stage.fold(Places::default(), |all, it| all.or(it.places))
    }

    /// The receipts that were first to state something of a place, ascending.
    pub(super) fn of_place(&self, place: u8) -> impl Iterator<Item = &Statement> {
        self.statements.iter().filter(move |it| it.places.contains(place))
    }

    /// What is left of it when only entries before an index are looked at.
    pub(super) fn before(mut self, span: u64, next: Index) -> Self {
        self.statements.retain(|it| it.receipt < next);
        let (next_span, place) = Places::of(next);
        if next_span <= span {
            let cut =
                |places: Places| if next_span < span { Places::default() } else { places.before(place) };
            self.owed = cut(self.owed);
            self.urgent = cut(self.urgent);
            self.notices = cut(self.notices);
        }
        self
    }

    /// Writes its bytes. A span has one form only.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        let sets = [(OWED, self.owed), (URGENT, self.urgent), (NOTICES, self.notices)];
        let present = sets.iter().filter(|(_, places)| !places.is_empty());
        out.put_u8(present.clone().fold(0, |flags, (flag, _)| flags | flag));
        for (_, places) in present {
            put_words(&mut out, places);
        }
        let mut last = 0;
        for it in &self.statements {
            let mut places = it.places.iter();
            let single = places.next().filter(|_| places.next().is_none());
            out.put_u8(it.stage as u8 | if single.is_some() { SINGLE } else { 0 });
            encode_varint(it.receipt.0 - last, &mut out);
            last = it.receipt.0;
            match single {
                Some(place) => out.put_u8(place),
                None => put_words(&mut out, &it.places),
            }
        }
        out
    }

    /// Reads it from its bytes; says what is wrong with others.
    pub(super) fn decode(mut bytes: &[u8]) -> Result<Self, String> {
        let flags = byte(&mut bytes)?;
        let mut set = |flag| if flags & flag == 0 { Ok(Places::default()) } else { words(&mut bytes) };
        let (owed, urgent, notices) = (set(OWED)?, set(URGENT)?, set(NOTICES)?);
        let mut statements = Vec::new();
        let mut last = 0_u64;
        while bytes.has_remaining() {
            let head = byte(&mut bytes)?;
            let stage = Stage::from_number(i32::from(head & !SINGLE));
            let stage = stage.ok_or_else(|| format!("{head} is no stage"))?;
            let step = decode_varint(&mut bytes).map_err(|error| error.to_string())?;
            last = last.checked_add(step).ok_or("an index that is too great")?;
            let places = if head & SINGLE == 0 {
                words(&mut bytes)?
            } else {
                let mut places = Places::default();
                places.insert(byte(&mut bytes)?);
                places
            };
            statements.push(Statement { stage, receipt: Index(last), places });
        }
        Ok(Self { owed, urgent, notices, statements })
    }
}

/// Writes which words are not 0, then these.
fn put_words(out: &mut Vec<u8>, places: &Places) {
    let present = places.0.iter().enumerate().filter(|(_, word)| **word != 0);
    out.put_u8(present.clone().fold(0, |flags, (number, _)| flags | 1 << number));
    for (_, word) in present {
        out.put_u64(*word);
    }
}

fn words(bytes: &mut &[u8]) -> Result<Places, String> {
    let flags = byte(bytes)?;
    let mut places = Places::default();
    for (number, word) in places.0.iter_mut().enumerate() {
        if flags >> number & 1 == 1 {
            *word = bytes.try_get_u64().map_err(|error| error.to_string())?;
        }
    }
    Ok(places)
}

fn byte(bytes: &mut &[u8]) -> Result<u8, String> {
    bytes.try_get_u8().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn places(of: &[u8]) -> Places {
        let mut places = Places::default();
        for place in of {
            places.insert(*place);
        }
        places
    }

    #[test]
    fn places_are_sets() {
        let (a, b) = (places(&[0, 63, 64, 255]), places(&[63, 255, 128]));
        assert_eq!(a.iter().collect::<Vec<_>>(), [0, 63, 64, 255]);
        assert_eq!(a.runs().collect::<Vec<_>>(), [(0, 0), (63, 64), (255, 255)]);
        assert_eq!(a.and(b), places(&[63, 255]));
        assert_eq!(a.minus(b), places(&[0, 64]));
        assert_eq!(a.or(b).len(), 5);
        assert_eq!(a.before(64), places(&[0, 63]));
        assert_eq!(a.before(0), places(&[]));
        assert_eq!(Places::of(Places::index(7, 200)), (7, 200));
    }

    #[test]
    fn span_shows_only_what_was_before() {
        let statement =
            |receipt| Statement { stage: Stage::Read, receipt: Index(receipt), places: places(&[1]) };
        let span = Span {
            owed: places(&[1, 9]),
            urgent: places(&[9]),
            notices: places(&[200]),
            statements: vec![statement(300), statement(600)],
        };
        assert_eq!(span.clone().before(1, Index(601)), span);
        let cut = span.clone().before(1, Index(256 + 9));
        assert_eq!((cut.owed, cut.urgent, cut.notices), (places(&[1]), places(&[]), places(&[])));
        assert_eq!(span.before(1, Index(3)), Span::default());
    }

    proptest! {
        #[test]
        fn spans_read_back_as_written(
            sets in any::<[[u64; 4]; 3]>(),
            statements in prop::collection::vec((1..=5_i32, 0..u64::MAX / 64, any::<[u64; 4]>()), 0..40),
        ) {
            let mut receipt = 0;
            let statements = statements.into_iter().map(|(stage, step, words)| {
                receipt += step;
                let stage = Stage::from_number(stage).unwrap();
                Statement { stage, receipt: Index(receipt), places: Places(words) }
            });
            let [owed, urgent, notices] = sets.map(Places);
            let span = Span { owed, urgent, notices, statements: statements.collect() };
            prop_assert_eq!(Span::decode(&span.encode()), Ok(span));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Span::decode(&bytes);
        }
    }
}
