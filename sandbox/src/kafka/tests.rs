use std::time::Instant;

use rdkafka::{
    ClientConfig, Message,
    consumer::{Consumer, StreamConsumer},
    producer::{FutureProducer, FutureRecord, Producer},
};

use super::*;

fn producer(kafka: &Kafka) -> FutureProducer {
    ClientConfig::new().set("bootstrap.servers", kafka.bootstrap()).create().unwrap()
}

fn consumer(kafka: &Kafka) -> StreamConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", kafka.bootstrap())
        .set("group.id", "test")
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap()
}

#[tokio::test]
async fn what_is_produced_is_consumed() {
    let kafka = Kafka::start([("a", 3), ("b", 1)]).unwrap();
    kafka.create_topic("a", 7).unwrap();
    let producer = producer(&kafka);
    let metadata = producer.client().fetch_metadata(Some("a"), Duration::from_secs(5)).unwrap();
    assert_eq!(metadata.topics()[0].partitions().len(), 3);
    let consumer = consumer(&kafka);
    consumer.subscribe(&["a"]).unwrap();
    let record = FutureRecord::to("a").key("key").payload("value");
    producer.send(record, Duration::from_secs(5)).await.map_err(|(cause, _)| cause).unwrap();
    let message = consumer.recv().await.unwrap();
    assert_eq!(message.payload(), Some(b"value".as_slice()));
    drop(message);
    drop((consumer, producer));
    kafka.stop();
}

#[tokio::test]
async fn a_fault_is_felt_and_passes() {
    let kafka = Kafka::start([("a", 1)]).unwrap();
    let producer = producer(&kafka);
    kafka.set_round_trip(Duration::from_millis(200)).unwrap();
    let began = Instant::now();
    let record = FutureRecord::<str, str>::to("a").payload("value");
    producer.send(record, Duration::from_secs(5)).await.map_err(|(cause, _)| cause).unwrap();
    assert!(began.elapsed() >= Duration::from_millis(200));
    kafka.set_round_trip(Duration::ZERO).unwrap();
    kafka.set_down(true).unwrap();
    let record = FutureRecord::<str, str>::to("a").payload("later");
    let sent = producer.send(record, Duration::from_secs(5));
    kafka.set_down(false).unwrap();
    sent.await.map_err(|(cause, _)| cause).unwrap();
}

#[tokio::test]
async fn dropping_the_cluster_before_its_clients_does_not_hang() {
    let kafka = Kafka::start([("a", 1)]).unwrap();
    let consumer = consumer(&kafka);
    consumer.subscribe(&["a"]).unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(300), consumer.recv()).await.is_err());
    let began = Instant::now();
    drop(kafka);
    drop(consumer);
    assert!(began.elapsed() < GRACE);
}

#[test]
fn an_impossible_topic_is_refused() {
    let error = Kafka::start([("a\0b", 1)]).unwrap_err();
    assert_eq!(error.to_string(), "can't create the topic `a\0b`");
}
