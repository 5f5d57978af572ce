//! Topics, read as they are.

use cdc_consumer::{
    Decoder, Error, Modes, Types, decode_received,
    tail::{Tail, tail},
};
use tokio_util::sync::CancellationToken;

use super::world::World;
use crate::fixture::{At, PAYMENTS, Record, TOPIC, plan};

async fn lines(world: &World, wanted: Tail) -> Result<Vec<String>, Error> {
    let settings = world.settings();
    let reading = tokio::task::spawn_blocking(move || {
        let (mut decoder, types) = (Decoder::default(), Types::from_plan(&plan()));
        let mut lines = Vec::new();
        tail(&settings, &wanted, &CancellationToken::new(), |received| {
            lines.push(decode_received(&mut decoder, received, &types, &Modes::default()));
            true
        })?;
        Ok(lines)
    });
    reading.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_read_to_its_end_and_not_further() {
    let mut world = World::start("tail").await;
    world.produce(90).await;
    for id in 1..=5 {
        world.send(PAYMENTS, 0, &Record::payment(id, 7, At { lsn: id, order: Some(1) })).await;
    }
    let topics = vec![PAYMENTS.to_owned()];
    let all = Tail { topics: topics.clone(), offset: 0, limit: None, follow: false };
    let read = lines(&world, all.clone()).await.unwrap();
    assert_eq!(read.len(), 5);
    assert!(
        read[4]
            .starts_with(r#"{"topic":"p.Db.dbo.Payment","partition":0,"offset":4,"timestamp_ms":"#),
        "{}",
        read[4]
    );
    assert!(read[4].contains(r#""Amount":{"type":"int","value":"7"}"#), "{}", read[4]);
    let last = lines(&world, Tail { offset: -2, ..all.clone() }).await.unwrap();
    assert!(last.len() == 2 && last[0].contains(r#""offset":3"#), "{last:?}");
    let one = lines(&world, Tail { limit: Some(1), offset: 2, ..all.clone() }).await.unwrap();
    assert!(one.len() == 1 && one[0].contains(r#""offset":2"#), "{one:?}");
    // Beyond its end there is nothing, and nothing is waited for.
    assert!(lines(&world, Tail { offset: 99, ..all.clone() }).await.unwrap().is_empty());
    let both = Tail { topics: vec![PAYMENTS.to_owned(), TOPIC.to_owned()], ..all };
    let both = lines(&world, both).await.unwrap();
    assert!(both.len() > 90);
    assert!(both.iter().all(|line| !line.contains("s3cret")), "secrets are masked");
}
