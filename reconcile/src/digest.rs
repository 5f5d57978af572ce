//! Order-free digests: what the legacy side has minus what the target side has. Pure.
//!
//! Each row's 128-bit hash is added to its bucket for the legacy side and subtracted for the
//! target side, modulo 2^128, and so is 1. A bucket whose sum and count are zero holds the same
//! rows on both sides (but for a chance of 2^-128 a bucket). The order of rows does not matter,
//! so each side is scanned as it comes.

use std::collections::BTreeSet;

/// The most buckets: 24 MiB.
const BUCKETS_MAX: u64 = 1 << 20;
const BUCKETS_MIN: u64 = 1 << 8;

/// Bytes that are kept of a bucket.
pub(crate) const KEPT_BYTES: usize = 20;

/// Where an id goes: its last three bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(u32);

impl Place {
    pub(crate) fn of(id: &[u8; 16]) -> Self {
        let [.., a, b, c] = *id;
        Self(u32::from_be_bytes([0, a, b, c]))
    }
}

/// The digest of one table.
#[derive(Debug)]
pub(crate) struct Digest {
    buckets: Vec<Bucket>,
    target_rows: u64,
    /// Suspects whatever their sums say.
    distrusted: BTreeSet<u32>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    low: u64,
    high: u64,
    difference: i32,
    legacy_rows: u32,
}

impl Digest {
    /// For about this many rows: half as many buckets, within bounds.
    pub(crate) fn for_rows(estimate: u64) -> Self {
        let count = (estimate / 2).next_power_of_two().clamp(BUCKETS_MIN, BUCKETS_MAX);
        let count = usize::try_from(count).unwrap_or(1 << 20);
        Self::empty(count)
    }

    fn empty(buckets: usize) -> Self {
        let buckets = vec![Bucket::default(); buckets];
        Self { buckets, target_rows: 0, distrusted: BTreeSet::new() }
    }

    /// `bucket(id) = last three bytes & mask`, which Postgres can compute as well.
    pub(crate) fn mask(&self) -> u32 {
        u32::try_from(self.buckets.len() - 1).unwrap_or(u32::MAX)
    }

    fn bucket(&mut self, place: Place) -> &mut Bucket {
        let number = usize::try_from(place.0).unwrap_or(0) & (self.buckets.len() - 1);
        self.buckets.get_mut(number).expect("a masked number is below the count")
    }

    /// A legacy row.
    pub(crate) fn add_legacy(&mut self, place: Place, hash: u128) {
        let bucket = self.bucket(place);
        bucket.set(bucket.sum().wrapping_add(hash));
        bucket.difference = bucket.difference.wrapping_add(1);
        bucket.legacy_rows = bucket.legacy_rows.saturating_add(1);
    }

    /// A target row.
    pub(crate) fn add_target(&mut self, id: &[u8; 16], hash: u128) {
        self.target_rows += 1;
        let bucket = self.bucket(Place::of(id));
        bucket.set(bucket.sum().wrapping_sub(hash));
        bucket.difference = bucket.difference.wrapping_sub(1);
    }

    /// Makes an id's bucket a suspect: equal sums prove nothing of it.
    pub(crate) fn distrust(&mut self, id: &[u8; 16]) {
        self.distrusted.insert(Place::of(id).0 & self.mask());
    }

    fn is_proven(&self, number: u32, bucket: &Bucket) -> bool {
        bucket.is_equal() && !self.distrusted.contains(&number)
    }

    /// The buckets that are not proven equal, in order.
    pub(crate) fn suspects(&self) -> Vec<u32> {
        let numbered = (0_u32..).zip(&self.buckets);
        let open = numbered.filter(|(number, bucket)| !self.is_proven(*number, bucket));
        open.map(|(number, _)| number).collect()
    }

    /// Legacy rows in buckets that are proven equal.
    pub(crate) fn proven_rows(&self) -> u64 {
        let numbered = (0_u32..).zip(&self.buckets);
        let equal = numbered.filter(|(number, bucket)| self.is_proven(*number, bucket));
        equal.map(|(_, bucket)| u64::from(bucket.legacy_rows)).sum()
    }

    /// The legacy side's sums and counts, [`KEPT_BYTES`] for each bucket. Before a target row was
    /// added, that is all there is.
    pub(crate) fn write_legacy(&self, into: &mut Vec<u8>) {
        into.reserve(self.buckets.len() * KEPT_BYTES);
        for bucket in &self.buckets {
            into.extend_from_slice(&bucket.low.to_le_bytes());
            into.extend_from_slice(&bucket.high.to_le_bytes());
            into.extend_from_slice(&bucket.legacy_rows.to_le_bytes());
        }
    }

    /// What [`Digest::write_legacy`] wrote of so many buckets; `None` for anything else.
    pub(crate) fn read_legacy(bytes: &[u8], buckets: usize) -> Option<Self> {
        let is_size = buckets.is_power_of_two()
            && (BUCKETS_MIN..=BUCKETS_MAX).contains(&u64::try_from(buckets).ok()?);
        let mut digest = is_size.then(|| Self::empty(buckets))?;
        if bytes.len() != buckets.checked_mul(KEPT_BYTES)? {
            return None;
        }
        for (bucket, bytes) in digest.buckets.iter_mut().zip(bytes.chunks_exact(KEPT_BYTES)) {
            let (low, rest) = bytes.split_first_chunk::<8>()?;
            let (high, rest) = rest.split_first_chunk::<8>()?;
            let rows = u32::from_le_bytes(rest.try_into().ok()?);
            *bucket = Bucket {
                low: u64::from_le_bytes(*low),
                high: u64::from_le_bytes(*high),
                difference: i32::from_ne_bytes(rows.to_ne_bytes()),
                legacy_rows: rows,
            };
        }
        Some(digest)
    }

    /// How many buckets there are.
    pub(crate) fn size(&self) -> usize {
        self.buckets.len()
    }

    /// Target rows added.
    pub(crate) fn target_rows(&self) -> u64 {
        self.target_rows
    }
}

impl Bucket {
    fn sum(self) -> u128 {
        u128::from(self.high) << 64 | u128::from(self.low)
    }

    fn set(&mut self, sum: u128) {
        // Two halves, because a `u128` field would be aligned to 16 and cost a third more memory.
        self.low = u64::try_from(sum & u128::from(u64::MAX)).unwrap_or(0);
        self.high = u64::try_from(sum >> 64).unwrap_or(0);
    }

    fn is_equal(&self) -> bool {
        self.low == 0 && self.high == 0 && self.difference == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(number: u32) -> ([u8; 16], u128) {
        let mut id = [7; 16];
        id[12..].copy_from_slice(&number.to_be_bytes());
        (id, u128::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_0C2B_1B87_3593) + 1)
    }

    #[test]
    fn every_bit_of_a_hash_counts() {
        for bit in [0, 63, 64, 127] {
            let mut digest = Digest::for_rows(0);
            let (id, hash) = row(5);
            digest.add_legacy(Place::of(&id), hash);
            digest.add_target(&id, hash ^ 1 << bit);
            assert_eq!(digest.suspects(), [5], "{bit}");
        }
    }

    #[test]
    fn a_large_table_has_more_buckets_than_two_bytes_can_number() {
        let mut digest = Digest::for_rows(10_000_000);
        let mut id = [0; 16];
        id[13..].copy_from_slice(&[0x1c, 0xab, 0xcd]);
        digest.add_target(&id, 1);
        // As Postgres says where an id is.
        assert_eq!((digest.mask(), digest.suspects()), (0xf_ffff, vec![0xc_abcd]));
    }

    proptest! {
        #[test]
        fn equal_sets_in_any_order_leave_no_suspect(
            rows in proptest::collection::vec(any::<u32>(), 0..500).prop_flat_map(|rows| {
                (Just(rows.clone()), Just(rows).prop_shuffle())
            })
        ) {
            let mut digest = Digest::for_rows(1000);
            rows.0.iter().for_each(|n| { let (id, hash) = row(*n); digest.add_legacy(Place::of(&id), hash); });
            rows.1.iter().for_each(|n| { let (id, hash) = row(*n); digest.add_target(&id, hash); });
            prop_assert!(digest.suspects().is_empty());
            prop_assert_eq!(digest.proven_rows(), rows.0.len() as u64);
        }

        #[test]
        fn what_is_kept_is_the_legacy_side_whole(
            rows in proptest::collection::vec(any::<u32>(), 0..300), cut: prop::sample::Index
        ) {
            let mut digest = Digest::for_rows(700);
            rows.iter().for_each(|n| { let (id, hash) = row(*n); digest.add_legacy(Place::of(&id), hash); });
            let mut bytes = Vec::new();
            digest.write_legacy(&mut bytes);
            let mut again = Digest::read_legacy(&bytes, digest.size()).unwrap();
            rows.iter().for_each(|n| { let (id, hash) = row(*n); again.add_target(&id, hash); });
            prop_assert!(again.suspects().is_empty());
            prop_assert_eq!(again.proven_rows(), rows.len() as u64);
            if let Some(one) = rows.first() {
                again.distrust(&row(*one).0);
                prop_assert_eq!(again.suspects(), vec![one & again.mask()]);
                prop_assert!(again.proven_rows() < rows.len() as u64);
            }
            let short = cut.index(bytes.len());
            prop_assert!(Digest::read_legacy(&bytes[..short], digest.size()).is_none());
            prop_assert!(Digest::read_legacy(&bytes, digest.size() * 2).is_none());
            prop_assert!(Digest::read_legacy(&bytes[..3 * KEPT_BYTES], 3).is_none());
        }

        #[test]
        fn one_other_hash_makes_its_bucket_suspect(
            rows in proptest::collection::btree_set(any::<u32>(), 1..300), which: prop::sample::Index, by in 1..u128::MAX
        ) {
            let rows: Vec<u32> = rows.into_iter().collect();
            let odd = rows[which.index(rows.len())];
            let mut digest = Digest::for_rows(0);
            for n in &rows {
                let (id, hash) = row(*n);
                digest.add_legacy(Place::of(&id), hash);
                digest.add_target(&id, if *n == odd { hash.wrapping_add(by) } else { hash });
            }
            prop_assert_eq!(digest.suspects(), vec![odd & digest.mask()]);
        }
    }
}
