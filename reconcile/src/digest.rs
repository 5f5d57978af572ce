//! Order-free digests: what the legacy side has minus what the target side has. Pure.
//!
//! Each row's 128-bit hash is added to its bucket for the legacy side and subtracted for the
//! target side, modulo 2^128, and so is 1. A bucket whose sum and count are zero holds the same
//! rows on both sides (but for a chance of 2^-128 a bucket). The order of rows does not matter,
//! so each side is scanned as it comes.

/// The most buckets: 24 MiB.
const BUCKETS_MAX: u64 = 1 << 20;
const BUCKETS_MIN: u64 = 1 << 8;

/// The digest of one table.
#[derive(Debug)]
pub(crate) struct Digest {
    buckets: Vec<Bucket>,
    target_rows: u64,
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
        Self { buckets: vec![Bucket::default(); count], target_rows: 0 }
    }

    /// `bucket(id) = last three bytes & mask`, which Postgres can compute as well.
    pub(crate) fn mask(&self) -> u32 {
        u32::try_from(self.buckets.len() - 1).unwrap_or(u32::MAX)
    }

    fn bucket(&mut self, id: &[u8; 16]) -> &mut Bucket {
        let [.., a, b, c] = *id;
        let number = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        let mask = self.buckets.len() - 1;
        self.buckets.get_mut(number & mask).expect("a masked number is below the count")
    }

    /// A legacy row.
    pub(crate) fn add_legacy(&mut self, id: &[u8; 16], hash: u128) {
        let bucket = self.bucket(id);
        bucket.set(bucket.sum().wrapping_add(hash));
        bucket.difference = bucket.difference.wrapping_add(1);
        bucket.legacy_rows = bucket.legacy_rows.saturating_add(1);
    }

    /// A target row.
    pub(crate) fn add_target(&mut self, id: &[u8; 16], hash: u128) {
        self.target_rows += 1;
        let bucket = self.bucket(id);
        bucket.set(bucket.sum().wrapping_sub(hash));
        bucket.difference = bucket.difference.wrapping_sub(1);
    }

    /// The buckets that are not proven equal, in order.
    pub(crate) fn suspects(&self) -> Vec<u32> {
        let numbered = (0_u32..).zip(&self.buckets);
        numbered.filter(|(_, bucket)| !bucket.is_equal()).map(|(number, _)| number).collect()
    }

    /// Legacy rows in buckets that are proven equal.
    pub(crate) fn proven_rows(&self) -> u64 {
        let equal = self.buckets.iter().filter(|bucket| bucket.is_equal());
        equal.map(|bucket| u64::from(bucket.legacy_rows)).sum()
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

    proptest! {
        #[test]
        fn equal_sets_in_any_order_leave_no_suspect(
            rows in proptest::collection::vec(any::<u32>(), 0..500).prop_flat_map(|rows| {
                (Just(rows.clone()), Just(rows).prop_shuffle())
            })
        ) {
            let mut digest = Digest::for_rows(1000);
            rows.0.iter().for_each(|n| { let (id, hash) = row(*n); digest.add_legacy(&id, hash); });
            rows.1.iter().for_each(|n| { let (id, hash) = row(*n); digest.add_target(&id, hash); });
            prop_assert!(digest.suspects().is_empty());
            prop_assert_eq!(digest.proven_rows(), rows.0.len() as u64);
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
                digest.add_legacy(&id, hash);
                digest.add_target(&id, if *n == odd { hash.wrapping_add(by) } else { hash });
            }
            prop_assert_eq!(digest.suspects(), vec![odd & digest.mask()]);
        }
    }
}
