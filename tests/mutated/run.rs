//! Mutations of a target's seeds, from a number each.

use std::panic::catch_unwind;
use std::path::Path;
use std::{env, fs};

use resguardo::host::random::{Random as _, SeededRandom};

/// Mutations of each seed, where nothing else is said.
const MUTATIONS: u64 = 200;
/// Numbers that are believed where they should not be.
const NUMBERS: [u64; 8] = [0, 1, 0x7f, 0x80, 0xffff, 0x7fff_ffff, 0xffff_ffff, u64::MAX];

fn number(name: &str, otherwise: u64) -> u64 {
    env::var(name).map_or(otherwise, |it| it.parse().expect("it is a number"))
}

/// Runs a target on each of its seeds and on mutations of it.
pub(crate) fn mutated(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|it| it.unwrap().path()).collect();
    names.sort();
    assert!(!names.is_empty(), "{target} has no seeds");
    let seeds: Vec<_> = names.iter().map(|it| fs::read(it).unwrap()).collect();
    let first = number("RESGUARDO_SEED", 0);
    for (name, seed) in names.iter().zip(&seeds) {
        run(seed);
        for number in first..first + number("RESGUARDO_MUTATIONS", MUTATIONS) {
            let random = SeededRandom::new(number);
            let mut bytes = seed.clone();
            for _ in 0..=random.below(3) {
                mutate(&mut bytes, &seeds, &random);
            }
            let stood = catch_unwind(|| run(&bytes));
            assert!(stood.is_ok(), "{} as RESGUARDO_SEED={number} changes it", name.display());
        }
    }
}

/// Changes a byte, a number or a piece.
fn mutate(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], random: &SeededRandom) {
    let place = |long: usize| usize::try_from(random.below(long as u64 + 1)).unwrap();
    let at = place(bytes.len());
    let to = (at + place(20)).min(bytes.len());
    match random.below(8) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        1 if at < bytes.len() => bytes[at] = bytes[at].wrapping_add(1),
        2 => drop(bytes.drain(at..to)),
        3 => bytes.truncate(at),
        4 => {
            let piece = bytes[at..to].to_vec();
            let other = place(bytes.len());
            bytes.splice(other..other, piece);
        }
        5 => {
            let number = NUMBERS[place(NUMBERS.len() - 1)].to_le_bytes();
            let long = [1, 2, 4, 8][place(3)].min(bytes.len() - at);
            bytes[at..at + long].copy_from_slice(&number[..long]);
        }
        6 => {
            let other = &seeds[place(seeds.len() - 1)];
            let from = place(other.len());
            let piece = &other[from..(from + place(60)).min(other.len())];
            bytes.splice(at..to, piece.iter().copied());
        }
        _ => {
            let mut put = vec![0; place(8)];
            random.fill(&mut put);
            bytes.splice(at..at, put);
        }
    }
}
