//! The production core against a model: a legacy database that is written to, a capture job and
//! a stream that lag, a backfill that races both, redeliveries, quarantine, planted defects.
//! Whatever the interleaving, exactly the planted defects are found.

mod world;

use std::collections::BTreeSet;

use proptest::prelude::*;

use self::world::{Defect, World};
use super::{Cycle, Step};
use crate::{
    decide::{Decision, DifferenceKind, LegacySeen, Readings, TargetSeen, decide},
    digest::Digest,
};

/// What the legacy side showed of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct LegacyReading {
    key: u32,
    content: Option<u64>,
}

fn id(key: u32) -> [u8; 16] {
    let mut id = [3; 16];
    id[12..].copy_from_slice(&key.wrapping_mul(0x9E37_79B1).to_be_bytes());
    id
}

fn hash(key: u32, content: u64) -> u128 {
    xxhash_rust::xxh3::xxh3_128(&[&id(key)[..], &content.to_be_bytes()].concat())
}

/// Runs one pass; `None` reads everything.
fn pass(world: &mut World, keys: Option<&BTreeSet<u32>>) -> Vec<(u32, Decision)> {
    let mut cycle = Cycle::new(true);
    let mut legacy: Vec<LegacyReading> = Vec::new();
    let mut target = world::Snapshot::default();
    loop {
        world.noise();
        match cycle.step() {
            Step::AskLow => cycle.low(world.max_lsn()),
            Step::ReadLegacy => {
                for key in world.all_keys() {
                    if keys.is_none_or(|keys| keys.contains(&key)) {
                        legacy.push(LegacyReading { key, content: world.read_legacy(key) });
                    }
                    world.some_noise();
                }
                cycle.legacy_read(world.chunks());
            }
            Step::PutMarker => cycle.marker(Some(world.put_marker())),
            Step::AwaitStream(marker) => cycle.stream(world.await_stream(marker)),
            Step::ReadTarget => {
                target = world.snapshot();
                world.noise();
                cycle.target_read(world.chunks());
            }
            Step::Decide(proof) => {
                let suspects = keys.is_none().then(|| suspects(&legacy, &target));
                let keep = |reading: &&LegacyReading| {
                    suspects.as_ref().is_none_or(|suspects| suspects.contains(&reading.key))
                };
                return legacy
                    .iter()
                    .filter(keep)
                    .map(|reading| (reading.key, decide(&readings(reading, &target), proof)))
                    .collect();
            }
        }
    }
}

/// The keys that the digests don't prove equal.
fn suspects(legacy: &[LegacyReading], target: &world::Snapshot) -> BTreeSet<u32> {
    let mut digest = Digest::for_rows(0);
    for reading in legacy {
        if let Some(content) = reading.content.filter(|content| !world::is_bad(*content)) {
            digest.add_legacy(&id(reading.key), hash(reading.key, content));
        }
    }
    for (key, (content, _)) in &target.rows {
        digest.add_target(&id(*key), hash(*key, *content));
    }
    let buckets = digest.suspects();
    let bucket = |key: u32| {
        let id = id(key);
        u32::from_be_bytes([0, id[13], id[14], id[15]]) & digest.mask()
    };
    let is_rejected = |reading: &LegacyReading| reading.content.is_some_and(world::is_bad);
    legacy
        .iter()
        .filter(|reading| is_rejected(reading) || buckets.contains(&bucket(reading.key)))
        .map(|reading| reading.key)
        .collect()
}

fn readings(reading: &LegacyReading, snapshot: &world::Snapshot) -> Readings {
    let row = snapshot.rows.get(&reading.key);
    Readings {
        legacy: match reading.content {
            None => LegacySeen::Absent,
            Some(content) if world::is_bad(content) => LegacySeen::Rejected,
            Some(_) => LegacySeen::Row,
        },
        target: row.map_or(TargetSeen::Absent, |(_, position)| TargetSeen::Row(Some(*position))),
        same: row.is_some_and(|(content, _)| reading.content == Some(*content)),
        tombstone: snapshot.tombstones.get(&reading.key).copied(),
        quarantine: snapshot.quarantine.get(&reading.key).copied(),
        discarded: false,
        same_as_last: false,
    }
}

/// The whole run, as the shell does it: a scan, then passes until everything is decided.
fn run(world: &mut World, passes_max: u32) -> (BTreeSet<(u32, DifferenceKind)>, usize) {
    let mut different = BTreeSet::new();
    let mut left: Option<BTreeSet<u32>> = None;
    for number in 1..=passes_max {
        if number > passes_max / 2 {
            world.calm_down();
        }
        let decisions = pass(world, left.as_ref());
        let mut undecided = BTreeSet::new();
        for (key, decision) in decisions {
            // The scan only finds suspects; they are judged by what is read again.
            match decision {
                _ if number == 1 => drop(undecided.insert(key)),
                Decision::Different(kind) => drop(different.insert((key, kind))),
                Decision::InFlight => drop(undecided.insert(key)),
                Decision::Agree | Decision::Quarantined | Decision::Discarded => {}
            }
        }
        if undecided.is_empty() {
            return (different, 0);
        }
        left = Some(undecided);
    }
    (different, left.map_or(0, |left| left.len()))
}

fn expected(defect: Defect) -> DifferenceKind {
    match defect {
        Defect::Missing => DifferenceKind::Missing,
        Defect::Extra => DifferenceKind::Extra,
        Defect::Changed | Defect::Lost => DifferenceKind::Changed,
        Defect::Unreported => DifferenceKind::Unreported,
    }
}

fn defects() -> impl Strategy<Value = Vec<Defect>> {
    let one = prop_oneof![
        Just(Defect::Missing),
        Just(Defect::Extra),
        Just(Defect::Changed),
        Just(Defect::Lost),
        Just(Defect::Unreported),
    ];
    proptest::collection::vec(one, 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn exactly_the_planted_defects_are_found(
        seed: u64, hot in 0_u32..12, cold in 6_u32..40, speed in 1_u32..12, defects in defects()
    ) {
        let mut world = World::new(seed, hot, cold, speed);
        let planted: BTreeSet<_> =
            defects.iter().filter_map(|defect| Some((world.plant(*defect)?, expected(*defect)))).collect();
        let (different, undecided) = run(&mut world, 12);
        prop_assert_eq!(different, planted);
        prop_assert_eq!(undecided, 0, "a calm system is decided");
    }

    #[test]
    fn a_stream_that_never_arrives_leaves_rows_undecided_and_accuses_nobody(
        seed: u64, hot in 0_u32..12, cold in 6_u32..20, defects in defects()
    ) {
        let mut world = World::new(seed, hot, cold, 4);
        for defect in &defects {
            world.plant(*defect);
        }
        world.stall();
        let (different, _) = run(&mut world, 4);
        prop_assert!(different.is_empty(), "{:?}", different);
    }
}
