//! Rows that are read again and written (by a repair, a retry, a reselect) beside a run.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use mapping::{
    key::CanonicalKey,
    plan::{SourceOp, TablePlan},
    position::{Lsn, Position},
    value::{Decimal, LegacyValue},
};
use reconcile::{
    Compared, DifferenceKind, Event, Report, Selection, Settings, Terms, Verdict, Watch,
    paranoid::Rules,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    follow::follow,
    lab::{Change, Lab},
};

/// Where the payer and the amount of a `dbo.Payment` are, and whether it is deleted.
const PAYER: usize = 1;
const AMOUNT: usize = 4;
const GC_RECORD: usize = 9;

/// Runs with a stream that passes every marker and brings nothing; before it passes the n-th (from
/// 1), `each` has its turn. Returns how many there were, too.
pub(crate) async fn run_beside(
    lab: &Lab,
    (settings, names): (&Settings, &[&str]),
    mut each: impl AsyncFnMut(usize),
) -> (Report, usize) {
    let (sender, mut waiting) = mpsc::unbounded_channel();
    let tell = move |event| {
        if let Event::Waiting { marker } = event {
            sender.send(marker).unwrap_or_default();
        }
    };
    let watch = Watch { progress: Arc::new(tell), ..Watch::nobody() };
    let selection = Selection { names: names.iter().map(ToString::to_string).collect() };
    let mut markers = 0;
    let passing = async {
        while let Some(marker) = waiting.recv().await {
            markers += 1;
            each(markers).await;
            lab.pass(marker).await;
        }
    };
    let source = lab.source();
    let (target, plan) = (Arc::clone(&lab.target), Arc::clone(&lab.plan));
    let running = reconcile::run(settings, &source, target, plan, &selection, &watch);
    let report = tokio::select! {
        report = running => report.unwrap(),
        () = passing => unreachable!("the watch is there until the run ends"),
    };
    (report, markers)
}

/// A payment, and what is done to it beside a run.
pub(crate) struct Payment<'a> {
    lab: &'a Lab,
    table: &'a TablePlan,
    key: CanonicalKey,
    /// What its readings are stamped with: captured before any run began.
    position: Position,
}

impl<'a> Payment<'a> {
    /// The n-th of those that are there.
    pub(crate) fn nth(lab: &'a Lab, nth: usize) -> Self {
        let table = lab.plan.table("dbo", "Payment").unwrap();
        let rows = lab.database.rows("Payment").unwrap();
        let is_there = |row: &&Vec<LegacyValue<'static>>| {
            matches!(row[GC_RECORD], LegacyValue::Null)
                && !matches!(row[PAYER], LegacyValue::Null)
                && matches!(row[AMOUNT], LegacyValue::Decimal(_))
        };
        let row = rows.iter().filter(is_there).nth(nth).unwrap();
        let mut image = vec![LegacyValue::Unchanged; table.columns.len()];
        image[table.key[0]] = row[0].clone();
        let key = table.canonical_key(&image).unwrap();
        let position = Position::read_after(lab.database.log().captured_lsn());
        Self { lab, table, key, position }
    }

    /// On the legacy side; the stream does not bring it.
    pub(crate) fn set_amount(&self, tugrik: usize) {
        let amount = Decimal { unscaled: i128::try_from(tugrik).unwrap() * 10_000, scale: 4 };
        let set = |row: &mut Vec<LegacyValue<'static>>| row[AMOUNT] = LegacyValue::Decimal(amount);
        let key = self.key.parts();
        let done = self.lab.database.transaction(|transaction| {
            transaction.update("Payment", &key, set).map(|found| assert!(found))
        });
        done.unwrap();
    }

    pub(crate) fn delete(&self) {
        let key = self.key.parts();
        let done = self.lab.database.transaction(|transaction| {
            transaction.delete("Payment", &key).map(|found| assert!(found))
        });
        done.unwrap();
    }

    /// As XPO deletes: the row stays, and loses its references.
    pub(crate) fn soft_delete(&self) {
        let mark = |row: &mut Vec<LegacyValue<'static>>| {
            row[GC_RECORD] = LegacyValue::Int(1_234_567);
            row[PAYER] = LegacyValue::Null;
        };
        let key = self.key.parts();
        let done = self.lab.database.transaction(|transaction| {
            transaction.update("Payment", &key, mark).map(|found| assert!(found))
        });
        done.unwrap();
    }

    /// What whoever reads a row again does who asked what is captured long ago and reads now.
    pub(crate) async fn read_again(&self) {
        self.bring(self.position).await;
    }

    /// Writes what the row is now, at a position.
    pub(crate) async fn bring(&self, position: Position) {
        let keys = std::slice::from_ref(&self.key);
        let rows = self.lab.session().await.read_keys(self.table, keys).await.unwrap();
        let (op, values) = match rows.into_iter().next() {
            Some(row) => (SourceOp::Upsert, row),
            None => {
                let mut image = vec![LegacyValue::Unchanged; self.table.columns.len()];
                image[self.table.key[0]] = self.key.parts().remove(0);
                (SourceOp::Delete, image)
            }
        };
        let change = Change { table: self.table.id, op, values, position };
        self.lab.apply(vec![change]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_read_again_after_the_marker_misleads_no_pass() {
    let lab = Lab::filled(1_000).await;
    let (hot, gone) = (Payment::nth(&lab, 20), Payment::nth(&lab, 30));
    let (streamed, later) = (Payment::nth(&lab, 40), Lsn::from_bytes([0xee; 10]));
    let rules = Arc::new(Rules::read(&spacehub::mappings()));
    let settings = Settings { independent: Some((rules, 1_000_000)), ..Lab::settings() };
    let beside = async |marker: usize| {
        // The fourth pass finds peace; the fifth marker is the independent check's.
        if matches!(marker, 1..=3 | 5) {
            hot.set_amount(1_000 + marker);
            hot.read_again().await;
        }
        match marker {
            1 => gone.set_amount(7),
            2 => gone.delete(),
            5 => {
                streamed.set_amount(9);
                return streamed.bring(Position::streamed(later, 1)).await;
            }
            _ => return,
        }
        gone.read_again().await;
    };
    let (report, markers) = run_beside(&lab, (&settings, &["payments"]), beside).await;
    assert_eq!(report.verdict, Verdict::Equal, "{}", report.to_text());
    assert_eq!((markers, report.passes), (5, 4), "{}", report.to_text());
    // It is not that nothing would be said.
    lab.sql("update payments set amount = amount + 1 where id = (select id from payments where amount > 0 limit 1)")
        .await;
    let (report, _) = run_beside(&lab, (&settings, &["payments"]), async |_| {}).await;
    assert_eq!(report.verdict, Verdict::Different, "{}", report.to_text());
}

/// What somebody did to the target, by entity.
type Planted = BTreeMap<&'static str, BTreeSet<String>>;

/// Does something to rows and notes their ids.
async fn plant(lab: &Lab, planted: &mut Planted, entity: &'static str, sql: &str) {
    let sql = format!("with done as ({sql} returning id) select array_agg(id::text) from done");
    let query = sqlx::query_scalar::<_, Vec<String>>(sqlx::AssertSqlSafe(sql));
    planted.entry(entity).or_default().extend(query.fetch_one(&lab.admin).await.unwrap());
}

/// Rows that a repair is let loose on.
async fn plant_some(lab: &Lab, planted: &mut Planted) {
    let some = |table: &str, rows: u32| {
        format!(
            "select id from {table} where source_position is not null order by random() limit {rows}"
        )
    };
    let change = format!(
        "update contracts set monthly_total = coalesce(monthly_total, 0) + 1 where id in ({})",
        some("contracts", 30)
    );
    let remove = format!("delete from payments where id in ({})", some("payments", 20));
    let add = "insert into invoices select (jsonb_populate_record(i, jsonb_build_object('id', gen_random_uuid()))).*
               from invoices i limit 10";
    plant(lab, planted, "contracts", &change).await;
    plant(lab, planted, "payments", &remove).await;
    plant(lab, planted, "invoices", add).await;
}

async fn compare(lab: &Lab, names: &[&str]) -> Compared {
    let selection = Selection { names: names.iter().map(ToString::to_string).collect() };
    let settings = Settings { patience: Duration::from_secs(60), ..Lab::settings() };
    let (target, plan) = (Arc::clone(&lab.target), Arc::clone(&lab.plan));
    let watch = Watch::nobody();
    reconcile::compare(&settings, &lab.source(), target, plan, &selection, &watch).await.unwrap()
}

/// Whether nothing is called different that nobody has touched.
fn accuses_nobody(report: &Report, planted: &Planted) {
    for entity in &report.entities {
        for found in &entity.differences {
            let id = found.id.as_ref().unwrap();
            let is_planted =
                planted.get(entity.entity.as_str()).is_some_and(|ids| ids.contains(id));
            assert!(is_planted, "{id} of {}: {}", entity.entity, report.to_text());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_and_a_run_beside_it_accuse_nobody_and_lose_nothing() {
    const REPAIRED: [&str; 3] = ["contracts", "payments", "invoices"];
    let lab = Lab::filled(3_000).await;
    let mut planted = Planted::new();
    // Nobody repairs these, and nobody writes to them on the legacy side.
    for sql in [
        "update user_logins set provider = provider || 'x' where id in (select id from user_logins order by id limit 6)",
        "delete from user_logins where id in (select id from user_logins order by id offset 9 limit 5)",
        "insert into user_logins select (jsonb_populate_record(l, jsonb_build_object('id', gen_random_uuid()))).*
         from user_logins l limit 4",
    ] {
        plant(&lab, &mut planted, "user_logins", sql).await;
    }
    let from = lab.database.log().captured_lsn();
    let (stop, quiet) = (CancellationToken::new(), CancellationToken::new());
    let stream = follow(&lab, from, Duration::from_millis(10), stop.clone());
    let writer = spacehub::demo::writer::Writer::new(&lab.database, &lab.demo, 17);
    let writing = tokio::spawn(writer.run(100, quiet.clone()));
    let racing = async {
        let mut runs = 0;
        for _ in 0..4 {
            plant_some(&lab, &mut planted).await;
            let is_done = AtomicBool::new(false);
            let repairing = async {
                let compared = compare(&lab, &REPAIRED).await;
                assert_eq!(compared.report.verdict, Verdict::Different);
                accuses_nobody(&compared.report, &planted);
                let terms =
                    Terms { actor: "a test".to_owned(), run: "1".to_owned(), delete_extra: true };
                let parts = (&lab.source(), &*lab.target, &lab.plan);
                let watch = Watch::nobody();
                reconcile::repair(parts, &compared.repairs, &terms, &watch).await.unwrap();
                let report = compare(&lab, &REPAIRED).await.report;
                assert_eq!(report.verdict, Verdict::Equal, "{}", report.to_text());
                is_done.store(true, Ordering::Relaxed);
            };
            let comparing = async {
                while !is_done.load(Ordering::Relaxed) {
                    let report = compare(&lab, &[]).await.report;
                    accuses_nobody(&report, &planted);
                    let is_logins = |one: &&reconcile::EntityReport| one.entity == "user_logins";
                    let logins = report.entities.iter().find(is_logins).unwrap();
                    let found = (logins.rows.changed, logins.rows.missing, logins.extra);
                    assert_eq!(found, (6, 5, 4), "{}", report.to_text());
                    runs += 1;
                }
            };
            tokio::join!(repairing, comparing);
        }
        quiet.cancel();
        let written = writing.await.unwrap().unwrap().transactions;
        println!("{runs} runs beside 4 repairs and {written} transactions");
        let compared = compare(&lab, &[]).await;
        let extra = compared.repairs.iter().filter(|row| row.kind == DifferenceKind::Extra);
        assert_eq!((compared.repairs.len(), extra.count()), (15, 4));
        stop.cancel();
    };
    tokio::join!(stream, racing);
}
