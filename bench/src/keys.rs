//! Legacy keys to ids: new ones minted, known ones looked up without the cache.

use anyhow::{Context, ensure};
use mapping::{key::CanonicalKey, plan::EntityId};

use crate::{args::Args, data, figure::Figure, place::Place};

/// As many as one batch asks for.
const BATCH_KEYS: usize = 10_000;
/// Issue 4's aim.
const FLOOR: f64 = 100_000.0;

pub(crate) async fn measure(place: &Place, args: &Args) -> anyhow::Result<Vec<Figure>> {
    let count = args.rows().min(100_000);
    let plan = place.table("Contract")?;
    let entity = place.plan.entity("contracts").context("no entity `contracts`")?.id;
    let mut keys: Vec<(EntityId, CanonicalKey)> = Vec::new();
    for number in 0..count {
        let key = plan.canonical_key(&data::contract(number, 1)).context("a row without a key")?;
        keys.push((entity, key));
    }
    let mut minted = Figure::new("keys", "new ones, 10,000 at a time", "keys").floor(FLOOR);
    let mut known = Figure::new("keys", "known ones, past the cache", "keys");
    for _ in 0..args.runs() {
        let spot = place.spot().await?;
        let meter = place.meter();
        let mut ids = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(BATCH_KEYS) {
            ids.extend(spot.target.reserve(chunk).await?);
        }
        let (rate, cost) = meter.stop(count);
        minted.add(rate, cost);
        let meter = place.meter();
        let mut found = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(BATCH_KEYS) {
            found.extend(spot.target.look_up(chunk).await?);
        }
        let (rate, cost) = meter.stop(count);
        known.add(rate, cost);
        ensure!(ids.iter().zip(&found).all(|(id, found)| Some(*id) == *found), "other ids came");
        place.leave(spot).await?;
    }
    Ok(vec![minted, known])
}
