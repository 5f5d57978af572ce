use crate::setup::{assess, clock, job, start};

#[tokio::test(flavor = "multi_thread")]
async fn peek() {
    let legacy = start(3000, 23).await;
    let mut job = job(&legacy.url());
    job.clock = clock();
    let assessment = assess(&job).await;
    for table in &assessment.tables {
        println!("{} {} {:?} rows {} whole {} bytes {:?}", table.table, table.kind, table.domain, table.rows, table.read_whole, table.bytes);
        for h in &table.hazards {
            println!("   {:?} {} {:?} {:?} {:?}\n      {}\n      > {}", h.severity, h.code, h.columns, h.count, h.examples, h.message, h.advice);
        }
    }
}
