//! Which rows a sample looks at.

use mapping::{key::CanonicalKey, plan::TablePlan, value::LegacyValue};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::{Error, legacy_scan::Scan, link::Link, subject::table};

/// Ids end in random bits; so many of them are drawn from.
const MASK: u32 = (1 << 14) - 1;
/// Of a small table, so many rows are looked at all the same.
const ROWS_MIN: u64 = 30;
/// Keys of one table that are held at a time.
const KEYS_MAX: u64 = 200_000;
/// All of a share, in hundredths of a percent.
const WHOLE: u64 = 10_000;

/// A sample that is drawn anew for each run.
pub(crate) struct Draw {
    share: u64,
    buckets: Vec<u32>,
}

impl Draw {
    /// A share in hundredths of a percent.
    pub(crate) fn new(share: u32) -> Self {
        // The end of a version 7 UUID is random.
        let [.., a, b, c, d, e, f, g, h] = *Uuid::now_v7().as_bytes();
        Self::seeded(share, u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }

    fn seeded(share: u32, seed: u64) -> Self {
        let share = u64::from(share).clamp(1, WHOLE);
        let is_drawn =
            |bucket: &u32| xxh3_64_with_seed(&bucket.to_be_bytes(), seed) % WHOLE < share;
        Self { share, buckets: (0..=MASK).filter(is_drawn).collect() }
    }

    /// The mask of an id's last bytes, and the drawn values.
    pub(crate) fn buckets(&self) -> (u32, Vec<u32>) {
        (MASK, self.buckets.clone())
    }

    /// Every how many-th legacy row is looked at.
    fn every(&self, estimate: u64) -> u64 {
        let wanted = (WHOLE / self.share).max(1);
        wanted.min((estimate / ROWS_MIN).max(1)).max(estimate.div_ceil(KEYS_MAX))
    }

    /// Keys of a subject's legacy table, evenly spread in the server's own order.
    pub(crate) async fn keys(
        &self,
        scan: &Scan,
        link: &mut Link,
        index: usize,
    ) -> Result<Vec<CanonicalKey>, Error> {
        let every = self.every(scan.tally(index).estimate);
        every_nth(scan, link, index, every).await
    }
}

/// About so many keys of a subject's legacy table, evenly spread.
pub(crate) async fn spread(
    scan: &Scan,
    link: &mut Link,
    index: usize,
    rows: u64,
) -> Result<Vec<CanonicalKey>, Error> {
    let every = (scan.tally(index).estimate / rows.max(1)).max(1);
    every_nth(scan, link, index, every).await
}

async fn every_nth(
    scan: &Scan,
    link: &mut Link,
    index: usize,
    every: u64,
) -> Result<Vec<CanonicalKey>, Error> {
    let Some(plan) = table(&scan.plan, scan.subjects.get(index).table) else {
        return Ok(Vec::new());
    };
    let keys = link.reader().await?.split(plan, every).await;
    let keys = keys.map_err(Error::legacy(format!("drawing keys of {}", plan.table)))?;
    Ok(keys.into_iter().filter_map(|key| canonical(plan, key)).collect())
}

/// The canonical key of the key columns' values.
pub(crate) fn canonical(plan: &TablePlan, key: Vec<LegacyValue<'static>>) -> Option<CanonicalKey> {
    let mut row = vec![LegacyValue::Unchanged; plan.columns.len()];
    for (index, value) in plan.key.iter().zip(key) {
        *row.get_mut(*index)? = value;
    }
    plan.canonical_key(&row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_about_what_was_asked_for_and_another_in_each_run() {
        for (share, about) in [(10_000, 16_384), (1_000, 1_638), (100, 164), (1, 2)] {
            let drawn = Draw::seeded(share, 7).buckets.len();
            assert!(drawn.abs_diff(about) <= about / 4 + 3, "{share}: {drawn}");
        }
        assert_ne!(Draw::seeded(100, 7).buckets, Draw::seeded(100, 8).buckets);
    }

    #[test]
    fn small_tables_are_not_left_out_and_large_ones_are_bounded() {
        let draw = Draw::seeded(100, 7);
        assert_eq!((draw.every(10), draw.every(300), draw.every(1_000_000)), (1, 10, 100));
        assert_eq!(Draw::seeded(10_000, 7).every(1_000_000_000), 5_000);
    }
}
