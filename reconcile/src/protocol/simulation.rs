//! The production core against a model: a legacy database that is written to, a capture job and
//! a stream that lag, a backfill that races both, redeliveries, quarantine, planted defects.
//! Whatever the interleaving, exactly the planted defects are found.

mod world;

use std::collections::BTreeSet;

use mapping::position::Lsn;
use proptest::prelude::*;

use self::world::{Defect, World};
use super::{Cycle, Step};
use crate::{
    decide::{Decision, DifferenceKind, LegacySeen, Readings, TargetSeen, decide},
    digest::{Digest, Place},
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

/// What a pass reads of the legacy side.
enum Scope<'a> {
    /// All of it.
    All,
    /// All of it; the process is killed after so many keys, and another one goes on much later.
    Resumed(usize),
    /// Nothing but what has changed after this LSN, beside what an earlier run has read.
    Since(Lsn, &'a [LegacyReading]),
    /// These keys.
    Only(&'a BTreeSet<u32>),
}

/// What all passes of a run after its scan need.
fn read_all(world: &mut World, stop_after: Option<usize>) -> Vec<LegacyReading> {
    let mut legacy = Vec::new();
    for (number, key) in world.all_keys().into_iter().enumerate() {
        if stop_after == Some(number) {
            (0..40).for_each(|_| world.noise());
        }
        legacy.push(LegacyReading { key, content: world.read_legacy(key) });
        world.some_noise();
    }
    legacy
}

/// Runs one pass.
fn pass(world: &mut World, scope: &Scope<'_>) -> Vec<(u32, Decision)> {
    let mut cycle = Cycle::new(true);
    let mut legacy: Vec<LegacyReading> = Vec::new();
    let mut changed = BTreeSet::new();
    let is_scan = !matches!(scope, Scope::Only(_));
    let (mut before, mut target) = (world::Snapshot::default(), world::Snapshot::default());
    loop {
        world.noise();
        match cycle.step() {
            Step::AskLow => cycle.low(world.max_lsn()),
            Step::ReadLegacy => {
                match scope {
                    Scope::All => legacy = read_all(world, None),
                    Scope::Resumed(after) => legacy = read_all(world, Some(*after)),
                    Scope::Since(from, kept) => {
                        changed = world.changed_since(*from);
                        legacy = kept.to_vec();
                        world.noise();
                    }
                    Scope::Only(keys) => {
                        for key in *keys {
                            legacy.push(LegacyReading {
                                key: *key,
                                content: world.read_legacy(*key),
                            });
                            world.some_noise();
                        }
                    }
                }
                before = world.snapshot();
                world.noise();
                cycle.legacy_read(world.beside());
            }
            Step::PutMarker => cycle.marker(Some(world.put_marker())),
            Step::AwaitStream(marker) => cycle.stream(world.await_stream(marker)),
            Step::ReadTarget => {
                target = world.snapshot();
                world.noise();
                cycle.target_read(world.beside());
            }
            Step::Decide(proof) => {
                if is_scan {
                    // The scan only finds suspects; they are judged by what is read again.
                    let keys = suspects(&legacy, &target, &changed);
                    return keys.into_iter().map(|key| (key, Decision::InFlight)).collect();
                }
                let decided = legacy.iter().map(|reading| {
                    (reading.key, decide(&readings(reading, (&before, &target)), proof))
                });
                return decided.collect();
            }
        }
    }
}

/// The keys that the digests don't prove equal, and those that have changed.
fn suspects(
    legacy: &[LegacyReading],
    target: &world::Snapshot,
    changed: &BTreeSet<u32>,
) -> BTreeSet<u32> {
    let mut digest = Digest::for_rows(0);
    for reading in legacy {
        if let Some(content) = reading.content.filter(|content| !world::is_bad(*content)) {
            digest.add_legacy(Place::of(&id(reading.key)), hash(reading.key, content));
        }
    }
    for (key, (content, _)) in &target.rows {
        digest.add_target(&id(*key), hash(*key, *content));
    }
    changed.iter().for_each(|key| digest.distrust(&id(*key)));
    let buckets = digest.suspects();
    let bucket = |key: u32| {
        let id = id(key);
        u32::from_be_bytes([0, id[13], id[14], id[15]]) & digest.mask()
    };
    let is_rejected = |reading: &LegacyReading| reading.content.is_some_and(world::is_bad);
    // The key registry knows every key that ever had an id.
    let known = legacy.iter().map(|reading| reading.key).chain(target.rows.keys().copied());
    let in_suspects =
        known.chain(changed.iter().copied()).filter(|key| buckets.contains(&bucket(*key)));
    let rejected = legacy.iter().filter(|reading| is_rejected(reading)).map(|reading| reading.key);
    in_suspects.chain(rejected).collect()
}

fn readings(
    reading: &LegacyReading,
    (before, snapshot): (&world::Snapshot, &world::Snapshot),
) -> Readings {
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
        stands: before.shows(reading.key) == snapshot.shows(reading.key)
            || snapshot.shows(reading.key).is_none_or(|(_, position)| !position.is_read()),
        same_as_last: false,
    }
}

/// The whole run, as the shell does it: a scan, then passes until everything is decided.
fn run(
    world: &mut World,
    passes_max: u32,
    first: &Scope<'_>,
) -> (BTreeSet<(u32, DifferenceKind)>, usize) {
    let mut different = BTreeSet::new();
    let mut left: Option<BTreeSet<u32>> = None;
    for number in 1..=passes_max {
        if number > passes_max / 2 {
            world.calm_down();
        }
        let decisions = match &left {
            None => pass(world, first),
            Some(left) => pass(world, &Scope::Only(left)),
        };
        let mut undecided = BTreeSet::new();
        for (key, decision) in decisions {
            match decision {
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
        Defect::Changed | Defect::Lost | Defect::Dropped => DifferenceKind::Changed,
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
        let (different, undecided) = run(&mut world, 12, &Scope::All);
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
        let (different, _) = run(&mut world, 4, &Scope::All);
        prop_assert!(different.is_empty(), "{:?}", different);
    }

    #[test]
    fn a_run_that_was_killed_and_went_on_finds_exactly_the_planted_defects(
        seed: u64, hot in 0_u32..12, cold in 6_u32..40, speed in 1_u32..12, defects in defects(),
        killed in 0_usize..40
    ) {
        let mut world = World::new(seed, hot, cold, speed);
        let planted: BTreeSet<_> =
            defects.iter().filter_map(|defect| Some((world.plant(*defect)?, expected(*defect)))).collect();
        let (different, undecided) = run(&mut world, 12, &Scope::Resumed(killed));
        prop_assert_eq!(different, planted);
        prop_assert_eq!(undecided, 0, "a calm system is decided");
    }

    #[test]
    fn what_has_changed_since_a_digest_is_judged_and_what_somebody_did_to_the_target_is_seen(
        seed: u64, hot in 0_u32..12, cold in 6_u32..40, speed in 1_u32..12,
        defects in proptest::collection::vec(
            prop_oneof![Just(Defect::Missing), Just(Defect::Changed), Just(Defect::Dropped)], 0..6
        )
    ) {
        let mut world = World::new(seed, hot, cold, speed);
        let low = world.max_lsn().unwrap_or_default();
        let kept = read_all(&mut world, None);
        (0..40).for_each(|_| world.noise());
        // After the digest was made: in the target, or logged by CDC and lost on the way.
        let planted: BTreeSet<_> =
            defects.iter().filter_map(|defect| Some((world.plant(*defect)?, expected(*defect)))).collect();
        world.capture_all();
        let (different, undecided) = run(&mut world, 12, &Scope::Since(low, &kept));
        prop_assert_eq!(different, planted);
        prop_assert_eq!(undecided, 0, "a calm system is decided");
    }
}
