//! Tiles: their paths, what a growth makes, and how many are read for a proof.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[test]
fn paths_are_those_of_the_standard() {
    let tile = |level, index, width| Tile::new(level, index, width).unwrap();
    for (tile, path) in [
        (tile(0, 0, 256), "tile/0/000"),
        (tile(0, 1_234_067, 256), "tile/0/x001/x234/067"),
        (tile(63, 999, 255), "tile/63/999.p/255"),
        (tile(2, 1000, 1), "tile/2/x001/000.p/1"),
        (tile(1, (1 << 55) - 1, 256), "tile/1/x036/x028/x797/x018/x963/967"),
    ] {
        assert_eq!(tile.to_string(), path);
        assert_eq!(path.parse(), Ok(tile));
    }
    let bundle = EntryBundle::new(1_234_067, 9).unwrap();
    assert_eq!(bundle.to_string(), "tile/entries/x001/x234/067.p/9");
    assert_eq!("tile/entries/x001/x234/067.p/9".parse(), Ok(bundle));
}

#[test]
fn what_is_no_path_is_refused() {
    for path in [
        "",
        "tile/0/",
        "tile/0/0",
        "tile/0/0000",
        "tile/00/000",
        "tile/64/000",
        "tile/+0/000",
        "tile/0/x000",
        "tile/0/x000/001",
        "tile/0/001/001",
        "tile/0/x001/x001",
        "tile/0/x001//001",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000.p/1.p/1",
        "tile/0/000 ",
        "/tile/0/000",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "tile/0/x036/x028/x797/x018/x963/968",
        "tile/entries/000",
    ] {
        assert!(path.parse::<Tile>().is_err(), "{path}");
    }
    for path in ["tile/0/000", "tile/entries/0", "tile/entries/000/", "tile/entries/x000/001"] {
        assert!(path.parse::<EntryBundle>().is_err(), "{path}");
    }
    let said = "tile/9/1".parse::<Tile>().unwrap_err().to_string();
    assert_eq!(said, "\"tile/9/1\" is not a path of the form tile/<L>/<N>[.p/<W>]");
    for (level, index, width) in [(64, 0, 1), (0, 1 << 55, 1), (0, 0, 0), (0, 0, 257)] {
        assert_eq!(Tile::new(level, index, width), None);
    }
}

/// The standard's own example, and its other one: a tree of 256 leaves has a tile of level 1, too.
#[test]
fn a_tree_of_70_000_leaves_has_the_tiles_that_the_standard_lists() {
    let all: Vec<_> = tiles_of_growth(0, 70_000).collect();
    let partial: Vec<_> = all.iter().filter(|tile| !tile.is_full()).map(ToString::to_string).collect();
    assert_eq!(partial, ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]);
    let full = |level| all.iter().filter(|tile| tile.level() == level && tile.is_full()).count();
    assert_eq!((full(0), full(1), full(2), all.len()), (273, 1, 0, 277));
    let small: Vec<_> = tiles_of_growth(0, 256).map(|tile| tile.to_string()).collect();
    assert_eq!(small, ["tile/0/000", "tile/1/000.p/1"]);
    let grown: Vec<_> = tiles_of_growth(255, 257).map(|tile| tile.to_string()).collect();
    assert_eq!(grown, ["tile/0/000", "tile/0/001.p/1", "tile/1/000.p/1"]);
    assert_eq!(tiles_of_growth(9, 9).chain(tiles_of_growth(9, 8)).count(), 0);
    let bundles: Vec<_> = bundles_of_growth(255, 257).map(|bundle| bundle.to_string()).collect();
    assert_eq!(bundles, ["tile/entries/000", "tile/entries/001.p/1"]);
}

#[test]
fn tiles_grown_by_any_steps_are_those_of_one_step_and_the_edge_is_made_again_from_them() {
    let mut numbers = Numbers(2);
    let (mut grower, mut kept, mut edge) = (Grower::new(), Kept::default(), Frontier::new());
    while grower.size() < 70_000 {
        let steps = [1, 3, 200, 256, 700, 9000];
        let most = steps[usize::try_from(numbers.below(6)).unwrap()];
        let step = 1 + numbers.below(most);
        let old = grower.size();
        for index in old..old + step {
            grower.append(leaf(index));
            edge.append(leaf(index));
        }
        let grown: BTreeSet<_> = tiles_of_growth(old, grower.size()).collect();
        let mut tiles = grower.take_finished();
        assert!(tiles.iter().all(|(tile, _)| tile.is_full()));
        // One that has not changed is among the unfinished ones all the same.
        tiles.extend(grower.unfinished().filter(|(tile, _)| grown.contains(tile)));
        let made: BTreeSet<_> = tiles.iter().map(|(tile, _)| *tile).collect();
        assert_eq!(made, grown, "{old} and {step} more");
        assert_eq!(grower.take_finished(), []);
        for (tile, bytes) in &tiles {
            // What was there of it stays: a tile only becomes wider.
            let before = kept.tiles.get(&(tile.level(), tile.index()));
            assert!(before.is_none_or(|it| bytes.starts_with(it) && it.len() < bytes.len()), "{tile}");
        }
        kept.keep(tiles);
        kept.reads.set(0);
        let again = Grower::from_tiles(&kept, grower.size()).unwrap();
        assert!(kept.reads.get() <= 3, "{} reads for {} leaves", kept.reads.get(), grower.size());
        assert_eq!((again.frontier(), again.root()), (&edge, grower.root()));
        if numbers.below(3) == 0 {
            grower = again;
        }
    }
    assert_eq!(kept.tiles, Kept::of(grower.size()).tiles);
    // Leaves and proofs of an earlier size come out of the tiles of a later one.
    let old = 513;
    let earlier = head(&other(old).root());
    let mut tiled = TiledTree::new(&kept, old).unwrap();
    assert_eq!(tiled.root().unwrap(), earlier.root);
    assert_eq!(tiled.inclusion(100).unwrap().verify(&leaf(100), 100, &earlier), Ok(()));
}

/// The tiles of a tree whose leaves are all the same: as large as one likes.
struct Same {
    reads: Cell<usize>,
}

impl Tiles for Same {
    type Error = &'static str;

    fn tile(&self, tile: Tile) -> Result<Bytes, &'static str> {
        self.reads.set(self.reads.get() + 1);
        let hash = (0..u32::from(tile.level()) * 8).fold(leaf(0), |hash, _| node_hash(&hash, &hash));
        Ok(hash.0.repeat(usize::from(tile.width())).into())
    }
}

#[test]
fn a_proof_reads_two_tiles_a_level_at_most() {
    let mut numbers = Numbers(3);
    let same = Same { reads: Cell::new(0) };
    let counted = |bound: usize, what: &str| {
        let reads = same.reads.replace(0);
        assert!(reads <= bound, "{reads} reads for {what}");
    };
    let sizes = (0..63).flat_map(|bits| [(1_u64 << bits) - 1, 1 << bits, (1 << bits) + 1]);
    for size in sizes.filter(|size| *size > 1).chain([SIZE_MAX, 3_650_000, 1_000_000_007]) {
        let levels = usize::try_from(size.ilog2() / 8 + 1).unwrap();
        let mut tiled = TiledTree::new(&same, size).unwrap();
        let tree = TreeHead { size, root: tiled.root().unwrap() };
        counted(levels, "a root");
        for number in 0..20 {
            let at = [0, size - 1, size / 2, 255.min(size - 1)].get(number).copied();
            let at = at.unwrap_or_else(|| numbers.below(size) << 20).min(size - 1);
            let proof = TiledTree::new(&same, size).unwrap().inclusion(at).unwrap();
            counted(2 * levels, &format!("index {at} of {size}"));
            assert_eq!(proof.verify(&leaf(0), at, &tree), Ok(()), "{at} of {size}");
            let old = at + 1;
            let proof = TiledTree::new(&same, size).unwrap().consistency(old).unwrap();
            counted(2 * levels, &format!("{old} to {size}"));
            let earlier = TreeHead { size: old, root: TiledTree::new(&same, old).unwrap().root().unwrap() };
            same.reads.set(0);
            assert_eq!(proof.verify(&earlier, &tree), Ok(()), "{old} to {size}");
        }
    }
}

#[test]
fn tiles_that_are_missing_or_cut_are_named() {
    let mut kept = Kept::of(300);
    let said = |kept: &Kept| TiledTree::new(kept, 300).unwrap().inclusion(3).unwrap_err().to_string();
    for (bytes, found) in [(43 * 32, "1376"), (44 * 32 + 1, "1409"), (257 * 32, "8224")] {
        kept.tiles.insert((0, 1), vec![0; bytes].into());
        let expected = format!("tile/0/001.p/44 has {found} bytes, 1408 to 8192 in whole hashes expected");
        assert_eq!(said(&kept), expected);
    }
    // A wider one of a later size does as well.
    kept.tiles.insert((0, 1), vec![0; 8192].into());
    assert!(TiledTree::new(&kept, 300).unwrap().inclusion(3).is_ok());
    kept.tiles.remove(&(0, 1));
    assert_eq!(said(&kept), "tile/0/001.p/44 cannot be read: not there");
    assert!(Grower::from_tiles(&kept, 300).is_err());
}

#[test]
fn a_bundle_holds_its_records_and_nothing_else() {
    let records: Vec<_> = (0..3).map(record).collect();
    let bundle = EntryBundle::new(0, 3).unwrap();
    let bytes = EntryBundle::encode(&records);
    assert_eq!(bytes[..2], [0, 32]);
    assert_eq!(bytes.len(), 3 * 34);
    assert_eq!(bundle.decode(&bytes).as_ref(), Ok(&records));
    assert_eq!(bundle.leaves(&bytes).unwrap(), [leaf(0), leaf(1), leaf(2)]);
    let said = |bytes: &[u8]| bundle.decode(bytes).unwrap_err().to_string();
    assert_eq!(said(&bytes[1..]), "a bundle of 3 records has 101 bytes, 102 expected");
    let mut wrong = bytes.clone();
    wrong[35] = 31;
    assert_eq!(said(&wrong), "entry 1 of a bundle of records has 31 bytes, 32 expected");
}

proptest! {
    #[test]
    fn paths_read_back_as_written(level in 0_u8..64, index in 0_u64..1 << 55, shift in 0..55, width in 1_u16..=256) {
        let tile = Tile::new(level, index >> shift, width).unwrap();
        prop_assert_eq!(tile.to_string().parse(), Ok(tile));
        let bundle = EntryBundle::new(index >> shift, width).unwrap();
        prop_assert_eq!(bundle.to_string().parse(), Ok(bundle));
    }

    #[test]
    fn a_path_that_is_read_is_written_the_same(path in "tile/([0-9]{1,2}|entries)/(x[0-9]{3}/){0,3}[0-9]{2,3}(\\.p/[0-9]{1,3})?") {
        if let Ok(tile) = path.parse::<Tile>() {
            prop_assert_eq!(tile.to_string(), path.clone());
        }
        if let Ok(bundle) = path.parse::<EntryBundle>() {
            prop_assert_eq!(bundle.to_string(), path);
        }
    }
}
