//! What a payment pays, and what that makes of invoices.
//!
//! Locks are taken in one order by every write: the payment, then the invoices by id. Whoever
//! holds an invoice's lock sees every allocation of it that was committed, and nobody adds one
//! meanwhile; the same holds for the payment. So neither is ever given out twice.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use sqlx::{Row as _, types::Json};
use uuid::Uuid;

use super::{
    entity::state,
    invoices::INVOICE,
    payments::ALLOCATION,
    reading::{Values, amount, id, word},
    transition::take,
    tx::{Event, Tx, Written, references},
};
use crate::{Error, money::MinorUnits};

/// Statuses in which an invoice takes payments.
const PAYABLE: [&str; 2] = ["issued", "partly_paid"];

const NOTHING: MinorUnits = MinorUnits::new(0);

/// A part of a payment that is to pay an invoice.
#[derive(Debug)]
pub(super) struct Wish {
    /// Where it stands in the body, such as `allocations[0].`.
    pub(super) at: String,
    pub(super) invoice: Uuid,
    pub(super) amount: MinorUnits,
}

/// An invoice under its lock.
struct Due {
    image: Values,
    total: MinorUnits,
    paid: MinorUnits,
}

/// Pays invoices out of a payment that is locked (or new): all of the wishes or none.
///
/// # Errors
/// [`Error::State`] when more is wished than the payment has left or an invoice has still due.
pub(super) async fn allocate(
    tx: &mut Tx<'_>,
    (payment, image): (Uuid, &Values),
    wishes: Vec<Wish>,
) -> Result<Vec<Written>, Error> {
    check_distinct(&wishes)?;
    check_left(tx, (payment, image), &wishes).await?;
    let ids: BTreeSet<Uuid> = wishes.iter().map(|wish| wish.invoice).collect();
    let mut invoices = lock(tx, ids).await?;
    let mut made = Vec::new();
    for wish in wishes {
        let due = invoices.remove(&wish.invoice).ok_or_else(|| gone(&wish))?;
        due.check(&wish)?;
        let allocation: Values = [
            ("payment_id".to_owned(), json!(payment)),
            ("invoice_id".to_owned(), json!(wish.invoice)),
            ("amount".to_owned(), wish.amount.into()),
        ]
        .into_iter()
        .collect();
        let allocation = tx.insert(&ALLOCATION, allocation).await?;
        tx.note_created(&ALLOCATION, &allocation).await?;
        let paid = due.paid.checked_add(wish.amount).ok_or_else(|| {
            state(&format!("{}amount", wish.at), "makes a sum that is too large".to_owned())
        })?;
        settle(tx, wish.invoice, &due, paid).await?;
        made.push(allocation);
    }
    Ok(made)
}

/// Takes an allocation of a locked payment away, and its money from the invoice.
///
/// # Errors
/// [`Error::NotFound`] when the payment has no such allocation.
pub(super) async fn release(tx: &mut Tx<'_>, payment: Uuid, part: Uuid) -> Result<(), Error> {
    let invoice: Option<Uuid> = sqlx::query_scalar(
        "select invoice_id from payment_allocations where id = $1 and payment_id = $2",
    )
    .bind(part)
    .bind(payment)
    .fetch_optional(&mut *tx.connection)
    .await?
    .ok_or(Error::NotFound)?;
    let locked = lock(tx, invoice.into_iter().collect()).await?;
    let deleted: Option<Json<Values>> = sqlx::query_scalar(
        "delete from payment_allocations where id = $1 \
         returning to_jsonb(payment_allocations) - 'source_position'",
    )
    .bind(part)
    .fetch_optional(&mut *tx.connection)
    .await?;
    // Who may see it and not take it away.
    let Json(before) = deleted.ok_or(Error::Forbidden)?;
    let payload = references(&ALLOCATION, &before);
    let (entity, before) = (&ALLOCATION, Some(&before));
    tx.note(Event { entity, id: part, before, after: None, what: "deleted", payload }).await?;
    for (invoice, due) in locked {
        let freed = before.map_or(NOTHING, |allocation| amount(allocation, "amount"));
        settle(tx, invoice, &due, due.paid.saturating_sub(freed)).await?;
    }
    Ok(())
}

/// Two wishes for one invoice would be two allocations of one payment to it.
fn check_distinct(wishes: &[Wish]) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    for wish in wishes {
        if !seen.insert(wish.invoice) {
            let field = format!("{}invoiceId", wish.at);
            return Err(Error::Fields([(field, "is named twice".to_owned())].into()));
        }
    }
    Ok(())
}

/// The payment's money is given out once.
async fn check_left(
    tx: &mut Tx<'_>,
    (payment, image): (Uuid, &Values),
    wishes: &[Wish],
) -> Result<(), Error> {
    let given: String = sqlx::query_scalar(
        "select coalesce(sum(amount), 0)::text from payment_allocations where payment_id = $1",
    )
    .bind(payment)
    .fetch_one(&mut *tx.connection)
    .await?;
    let mut left = amount(image, "amount").saturating_sub(sum(&given));
    for wish in wishes {
        if wish.amount.compare(left).is_gt() {
            let reason = format!("is more than the {} that are left of the payment", left.get());
            return Err(state(&format!("{}amount", wish.at), reason));
        }
        left = left.saturating_sub(wish.amount);
    }
    Ok(())
}

/// A sum as Postgres has it; more than fits counts as the most there is.
fn sum(text: &str) -> MinorUnits {
    MinorUnits::new(text.parse().unwrap_or(i64::MAX))
}

/// Locks invoices by id, with what was paid of each.
async fn lock(tx: &mut Tx<'_>, ids: BTreeSet<Uuid>) -> Result<BTreeMap<Uuid, Due>, Error> {
    let ids: Vec<Uuid> = ids.into_iter().collect();
    let images: Vec<Json<Values>> = sqlx::query_scalar(
        "select to_jsonb(invoices) - 'source_position' from invoices \
         where id = any($1) and deleted_at is null order by id for update",
    )
    .bind(&ids)
    .fetch_all(&mut *tx.connection)
    .await?;
    // In a statement of its own: only one that begins under the locks sees all that is committed.
    let sums = sqlx::query(
        "select invoice_id, sum(amount)::text as allocated from payment_allocations \
         where invoice_id = any($1) group by invoice_id",
    )
    .bind(&ids)
    .fetch_all(&mut *tx.connection)
    .await?;
    let mut allocated = BTreeMap::new();
    for row in sums {
        let text: Option<String> = row.try_get("allocated")?;
        allocated.insert(row.try_get::<Uuid, _>("invoice_id")?, sum(&text.unwrap_or_default()));
    }
    let due = |Json(image): Json<Values>| {
        let invoice = image.get("id").and_then(id)?;
        let allocated = allocated.get(&invoice).copied().unwrap_or(NOTHING);
        Some((invoice, Due::new(image, allocated)))
    };
    Ok(images.into_iter().filter_map(due).collect())
}

impl Due {
    /// The legacy system's `PaidTotal` and its allocations do not always agree; nobody is asked
    /// for money that one of them counts as paid.
    fn new(image: Values, allocated: MinorUnits) -> Self {
        let told = amount(&image, "paid_total");
        let paid = if told.compare(allocated).is_gt() { told } else { allocated };
        Self { total: amount(&image, "total"), paid, image }
    }

    fn status(&self) -> &str {
        word(&self.image, "status").unwrap_or_default()
    }

    fn check(&self, wish: &Wish) -> Result<(), Error> {
        if !PAYABLE.contains(&self.status()) {
            let reason = format!("is {}; only an invoice that is issued is paid", self.status());
            return Err(state(&format!("{}invoiceId", wish.at), reason));
        }
        let due = self.total.saturating_sub(self.paid);
        if wish.amount.compare(due).is_gt() {
            let reason = format!("is more than the {} that are still due", due.get());
            return Err(state(&format!("{}amount", wish.at), reason));
        }
        Ok(())
    }
}

fn gone(wish: &Wish) -> Error {
    state(&format!("{}invoiceId", wish.at), "has just been deleted".to_owned())
}

/// Gives an invoice what is paid of it now, and the status that follows from it.
async fn settle(tx: &mut Tx<'_>, invoice: Uuid, due: &Due, paid: MinorUnits) -> Result<(), Error> {
    let also: Values = [("paid_total".to_owned(), paid.into())].into_iter().collect();
    let now = due.status();
    let to = status_when_paid(now, due.total, paid);
    if to == now {
        let after = tx.update(&INVOICE, invoice, also).await?;
        tx.note_updated(&INVOICE, &due.image, &after).await
    } else {
        take(tx, &INVOICE, invoice, &due.image, to, also).await.map(drop)
    }
}

/// A draft or a cancelled invoice stays one, whatever old allocations it has.
fn status_when_paid(now: &str, total: MinorUnits, paid: MinorUnits) -> &str {
    match now {
        "issued" | "partly_paid" | "paid" if !paid.compare(NOTHING).is_gt() => "issued",
        "issued" | "partly_paid" | "paid" if total.is_fully_paid(paid) => "paid",
        "issued" | "partly_paid" | "paid" => "partly_paid",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_follows_from_what_is_paid() {
        for (now, total, paid, then) in [
            ("issued", 100, 0, "issued"),
            ("issued", 100, 99, "partly_paid"),
            ("issued", 100, 100, "paid"),
            ("partly_paid", 100, 101, "paid"),
            ("paid", 100, 1, "partly_paid"),
            ("paid", 100, 0, "issued"),
            ("draft", 100, 100, "draft"),
            ("cancelled", 100, 0, "cancelled"),
        ] {
            let then_is = status_when_paid(now, MinorUnits::new(total), MinorUnits::new(paid));
            assert_eq!(then_is, then, "{now} with {paid} of {total}");
        }
    }
}
