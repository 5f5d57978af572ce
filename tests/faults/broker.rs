//! Kafka: the in-process one, or a real broker, under one set of words.

use std::{path::Path, time::Duration};

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    producer::FutureProducer,
};
use sandbox::kafka::Kafka;

/// Where a test's topics are.
pub(crate) enum Broker {
    /// In this process.
    Mock(Kafka),
    /// The one that [`ADDRESS`] names, or one that the test has started itself.
    Real(String),
}

/// The variable that names a real broker: `deploy/kafka/broker run` sets it.
pub(crate) const ADDRESS: &str = "FICUS_TEST_KAFKA";

/// The script that starts brokers.
pub(crate) fn script() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/kafka/broker")
}

impl Broker {
    /// The in-process one.
    pub(crate) fn mock() -> Self {
        Self::Mock(Kafka::start([]).expect("Kafka"))
    }

    /// The real one that the environment names.
    pub(crate) fn real() -> Self {
        Self::Real(std::env::var(ADDRESS).expect("the suite runs this only where it is set"))
    }

    pub(crate) fn bootstrap(&self) -> &str {
        match self {
            Self::Mock(kafka) => kafka.bootstrap(),
            Self::Real(address) => address,
        }
    }

    /// Makes topics of so many partitions, with settings that only a real broker understands.
    pub(crate) async fn create_topics(&self, topics: &[(String, i32)], settings: &[(&str, &str)]) {
        let Self::Real(_) = self else {
            let Self::Mock(kafka) = self else { return };
            for (topic, partitions) in topics {
                kafka.create_topic(topic, *partitions).expect("a topic");
            }
            return;
        };
        let wanted = topics.iter().map(|(topic, partitions)| {
            let mut new = NewTopic::new(topic, *partitions, TopicReplication::Fixed(1));
            for (name, value) in settings {
                new = new.set(name, value);
            }
            new
        });
        let wanted: Vec<NewTopic<'_>> = wanted.collect();
        let made = self.admin().create_topics(&wanted, &options()).await.expect("an answer");
        for result in made {
            result.expect("a topic");
        }
    }

    /// For what only an administrator does.
    pub(crate) fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.config().create().expect("a client")
    }

    /// A producer that neither reorders nor repeats.
    pub(crate) fn producer(&self) -> FutureProducer {
        self.compressing("none")
    }

    /// The same with a compression.
    pub(crate) fn compressing(&self, codec: &str) -> FutureProducer {
        let mut config = self.config();
        config.set("compression.codec", codec);
        config.set("enable.idempotence", "true").set("linger.ms", "2");
        // A request that the in-process broker swallowed on its way down is sent again soon.
        config.set("socket.timeout.ms", "3000").set("request.timeout.ms", "3000");
        config.set("message.max.bytes", "64000000").create().expect("a producer")
    }

    /// A producer of transactions.
    pub(crate) fn transactional(&self, id: &str) -> FutureProducer {
        self.config().set("transactional.id", id).create().expect("a producer")
    }

    pub(crate) fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.bootstrap());
        config
    }
}

/// Administrators are patient here.
pub(crate) fn options() -> AdminOptions {
    let limit = Some(Duration::from_secs(60));
    AdminOptions::new().request_timeout(limit).operation_timeout(limit)
}
