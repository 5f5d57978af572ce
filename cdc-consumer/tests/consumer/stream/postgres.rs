//! A Postgres that is slow, full, or busy with somebody else: nothing is skipped, the group does
//! not notice, and all goes on by itself.

use std::time::Duration;

use cdc_consumer::{Settings, status::State};
use sqlx::{AssertSqlSafe, PgPool};

use super::world::World;
use crate::fixture::{At, Contract, Record, TOPIC};

async fn run(pool: &PgPool, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(pool).await.expect(sql);
}

/// Open entries of the quarantine.
async fn quarantined(world: &World) -> i64 {
    sqlx::query_scalar("select count(*) from ficus.quarantine")
        .fetch_one(&world.admin)
        .await
        .unwrap()
}

/// Writers of the API and large batches make circles again and again; a batch of eight rows
/// does not. A trigger plays the API: real circles are in the target's own tests.
#[tokio::test(flavor = "multi_thread")]
async fn f37_batches_halve_until_they_get_through() {
    let mut world = World::start("circles").await;
    let mut sql = String::from(
        "create function crowd() returns trigger language plpgsql as $$
         begin
           if (select count(*) from touched) > 8 then
             raise exception 'a circle' using errcode = '40P01';
           end if;
           return null;
         end $$;",
    );
    for event in ["insert", "update"] {
        sql.push_str(&format!(
            "create trigger crowd_{event} after {event} on contracts
             referencing new table as touched for each statement execute function crowd();"
        ));
    }
    run(&world.admin, &sql).await;
    world.produce(150).await;
    let settings = Settings { batch_rows_max: 64, retry_ms_max: 50, ..world.settings() };
    let consumer = world.consume(settings);
    world.caught_up(&consumer).await;
    let report = consumer.stop().await.unwrap();
    assert!(report.progress.retries >= 3, "{}", report.progress.retries);
    assert_eq!(report.progress.assignments, 1, "the group has not noticed");
    assert_eq!(quarantined(&world).await, 0);
    world.check().await;
}

/// A disk of four megabytes for the contracts.
enum Disk {
    /// A tablespace on a small file system of its own: what Postgres says is true.
    Mounted(std::path::PathBuf),
    /// Where nobody may mount one, a trigger says what Postgres would.
    Played,
}

impl Disk {
    async fn under(world: &World) -> Self {
        let data: String =
            sqlx::query_scalar("show data_directory").fetch_one(&world.admin).await.unwrap();
        match mount(&data) {
            Some(folder) => {
                let place = folder.display();
                run(&world.admin, &format!("create tablespace small location '{place}'")).await;
                run(&world.admin, "alter table contracts set tablespace small").await;
                Self::Mounted(folder)
            }
            None => {
                println!("played: a disk can't be mounted here");
                let sql = "create table full_disk (id int);
                   create function refuse() returns trigger language plpgsql security definer as $$
                   begin
                     if exists (select from full_disk) then
                       raise exception 'No space left on device' using errcode = '53100';
                     end if;
                     return new;
                   end $$;
                   create trigger refuse before insert on contracts
                   for each row execute function refuse()";
                run(&world.admin, sql).await;
                Self::Played
            }
        }
    }

    async fn fill(&self, world: &World) {
        let Self::Mounted(_) = self else {
            run(&world.admin, "insert into full_disk values (1)").await;
            return;
        };
        run(&world.admin, "create table ballast (text text) tablespace small").await;
        run(&world.admin, "alter table ballast alter text set storage plain").await;
        for (bytes, rows) in [(5_000, 100), (5_000, 1), (500, 1), (5, 1)] {
            let sql = format!(
                "insert into ballast select repeat('x', {bytes}) from generate_series(1, {rows})"
            );
            let full = loop {
                if let Err(error) =
                    sqlx::raw_sql(AssertSqlSafe(sql.clone())).execute(&world.admin).await
                {
                    break error;
                }
            };
            let code = full.as_database_error().and_then(|error| error.code()).unwrap();
            assert_eq!(code, "53100", "{full}");
        }
    }

    async fn free(&self, world: &World) {
        match self {
            Self::Mounted(_) => run(&world.admin, "drop table ballast").await,
            Self::Played => run(&world.admin, "delete from full_disk").await,
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Self::Mounted(folder) = self {
            drop(std::process::Command::new("umount").arg("-l").arg(&*folder).status());
            drop(std::fs::remove_dir(&*folder));
        }
    }
}

/// Mounts a file system that belongs to the server's own user.
fn mount(data: &str) -> Option<std::path::PathBuf> {
    use std::os::unix::fs::MetadataExt as _;
    let owner = std::fs::metadata(data).ok()?;
    let folder = std::env::temp_dir().join(format!("ficus-small-{}", std::process::id()));
    std::fs::create_dir_all(&folder).ok()?;
    let options = format!("size=4m,mode=0700,uid={},gid={}", owner.uid(), owner.gid());
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
        .arg(&folder)
        .stderr(std::process::Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !mounted {
        drop(std::fs::remove_dir(&folder));
    }
    mounted.then_some(folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn f40_a_full_disk_stops_the_lane_until_there_is_room() {
    let mut world = World::start("disk").await;
    let disk = Disk::under(&world).await;
    let consumer = world.consume(Settings { retry_ms_max: 100, ..world.settings() });
    world.produce(100).await;
    world.caught_up(&consumer).await;
    let before = world.contents_with_positions().await;
    let positions = async |world: &World| -> i64 {
        sqlx::query_scalar("select sum(next_offset)::int8 from ficus.partition")
            .fetch_one(&world.admin)
            .await
            .unwrap()
    };
    let at = positions(&world).await;
    disk.fill(&world).await;

    for number in 0..50 {
        // Long, and stored as it is: it needs pages of its own.
        let row = Contract::new(&format!("Z-{number:02}"), 1, Some(&"x".repeat(1_500)));
        world.send(TOPIC, 0, &Record::insert(&row, At { lsn: 800_000, order: Some(number) })).await;
    }
    consumer
        .until("it waits for room", |progress| {
            let words = progress.waiting_for.as_deref().unwrap_or_default();
            progress.state == State::Waiting && words.contains("free disk space")
        })
        .await;
    consumer.until("it tries again and again", |progress| progress.retries >= 3).await;
    // The lane stands before the batch; no row of it is written, put aside, or passed over.
    assert_eq!(world.contents_with_positions().await, before);
    assert_eq!((positions(&world).await, quarantined(&world).await), (at, 0));

    disk.free(&world).await;
    world
        .eventually("all is there", async |world| {
            world.numbers().await.iter().filter(|number| number.starts_with("Z-")).count() == 50
        })
        .await;
    let report = consumer.stop().await.unwrap();
    assert_eq!(report.progress.assignments, 1, "the group has not noticed");
    assert_eq!(quarantined(&world).await, 0);
}

/// Each batch takes longer than the group lets a member be away. The reading thread goes on
/// polling meanwhile, so the group does not notice.
#[tokio::test(flavor = "multi_thread")]
async fn f64_a_postgres_slower_than_the_poll_interval_costs_no_rebalance() {
    let mut world = World::start("slow").await;
    let interval = Duration::from_secs(4);
    let settings = Settings {
        batch_rows_max: 50,
        session_timeout_ms: 1_000,
        kafka_properties: vec![("max.poll.interval.ms".into(), interval.as_millis().to_string())],
        ..world.settings()
    };
    let consumer = world.consume(settings);
    world.produce(100).await;
    world.caught_up(&consumer).await;
    let mut held = world.admin.begin().await.unwrap();
    sqlx::raw_sql("lock table contracts in access exclusive mode")
        .execute(&mut *held)
        .await
        .unwrap();
    world.produce(1_000).await;
    consumer.until("it waits", |progress| progress.state == State::Waiting).await;
    tokio::time::sleep(interval).await;
    held.rollback().await.unwrap();
    world.caught_up(&consumer).await;
    let report = consumer.stop().await.unwrap();
    assert_eq!((report.progress.assignments, report.progress.retries), (1, 0));
    world.check().await;
}
