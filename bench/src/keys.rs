//! Legacy keys to ids: new ones minted, known ones looked up without the cache.

use anyhow::{Context, ensure};
use mapping::{
    key::CanonicalKey,
    plan::{EntityId, Plan},
};
use target::Target;
use uuid::Uuid;

use crate::{args::Args, data, figure::Figure, place::Place};

/// As many as one batch asks for.
const BATCH_KEYS: usize = 10_000;
/// Issue 4's aim.
const FLOOR: f64 = 100_000.0;

/// Keys of one entity.
pub(crate) type Keys = Vec<(EntityId, CanonicalKey)>;

pub(crate) async fn measure(place: &Place, args: &Args) -> anyhow::Result<Vec<Figure>> {
    let keys = keys(&place.plan, args.rows().min(100_000))?;
    let count = u64::try_from(keys.len())?;
    let mut minted = Figure::new("keys", "new ones, 10,000 at a time", "keys").floor(FLOOR);
    let mut known = Figure::new("keys", "known ones, past the cache", "keys");
    for _ in 0..args.runs() {
        let spot = place.spot().await?;
        let meter = place.meter();
        let ids = mint(&spot.target, &keys).await?;
        let (rate, cost) = meter.stop(count);
        minted.add(rate, cost);
        let meter = place.meter();
        let found = look_up(&spot.target, &keys).await?;
        let (rate, cost) = meter.stop(count);
        known.add(rate, cost);
        ensure!(ids == found, "other ids came");
        place.leave(spot).await?;
    }
    Ok(vec![minted, known])
}

/// The keys of so many contracts.
pub(crate) fn keys(plan: &Plan, count: u64) -> anyhow::Result<Keys> {
    let table = plan.table("dbo", "Contract").context("the mapping does not name Contract")?;
    let entity = plan.entity("contracts").context("no entity `contracts`")?.id;
    let key = |number| {
        let key = table.canonical_key(&data::contract(number, 1)).context("a row without a key")?;
        anyhow::Ok((entity, key))
    };
    (0..count).map(key).collect()
}

/// Ids of keys that are not there yet.
pub(crate) async fn mint(
    target: &Target,
    keys: &[(EntityId, CanonicalKey)],
) -> anyhow::Result<Vec<Uuid>> {
    let mut ids = Vec::with_capacity(keys.len());
    for chunk in keys.chunks(BATCH_KEYS) {
        ids.extend(target.reserve(chunk).await?);
    }
    Ok(ids)
}

/// Ids of keys that are all there.
pub(crate) async fn look_up(
    target: &Target,
    keys: &[(EntityId, CanonicalKey)],
) -> anyhow::Result<Vec<Uuid>> {
    let mut ids = Vec::with_capacity(keys.len());
    for chunk in keys.chunks(BATCH_KEYS) {
        for id in target.look_up(chunk).await? {
            ids.push(id.context("a key that was minted is not known")?);
        }
    }
    Ok(ids)
}
