//! An in-process Kafka: rdkafka's mock cluster, which real clients reach over TCP.
//!
//! Its limits, which the rest of the sandbox lives with:
//! - A partition keeps only its last 5 MB or 100,000 batches; what is older is dropped in
//!   silence. Producers must not run ahead of consumers
//!   ([`crate::debezium::Connector`] does not).
//! - Aborted transactions are visible, there is no compaction, and nothing survives the process.
//! - The admin calls time out, and one of them (delete groups) brings the process down later.
//!   Topics are made here instead.
//! - The cluster must outlive its clients: a consumer that is dropped after it hangs for most of
//!   a minute. So dropping [`Kafka`] gives the clients a moment before the cluster goes.

use std::{sync::mpsc, thread::JoinHandle, time::Duration};

use rdkafka::{
    ClientConfig,
    bindings::{rd_kafka_handle_mock_cluster, rd_kafka_mock_group_initial_rebalance_delay_ms},
    error::KafkaError,
    mocking::MockCluster,
    producer::{BaseProducer, DefaultProducerContext, Producer as _},
    types::{RDKafkaApiKey, RDKafkaRespErr},
};

/// What one partition keeps, at least, in bytes.
pub const PARTITION_BYTES_MAX: u64 = 5 * 1024 * 1024;

/// How long the cluster lives on after [`Kafka`] was dropped.
const GRACE: Duration = Duration::from_secs(5);

/// A failure of the in-process Kafka.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The brokers could not be started.
    #[error("can't start the in-process Kafka")]
    Start(#[source] KafkaError),
    /// A topic could not be made.
    #[error("can't create the topic `{topic}`")]
    Topic {
        /// The topic.
        topic: String,
        /// The cause.
        #[source]
        source: KafkaError,
    },
    /// A fault could not be simulated.
    #[error("can't simulate the fault")]
    Fault(#[source] KafkaError),
    /// A thread could not be started.
    #[error("can't start the thread of the in-process Kafka")]
    Thread(#[source] std::io::Error),
    /// The thread is gone.
    #[error("the in-process Kafka has ended")]
    Ended,
}

impl Error {
    /// What the user can do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Start(_) | Self::Thread(_) => {
                "the machine may be out of ports, files or threads; or name a real one with --kafka"
            }
            Self::Topic { .. } => "the name may have characters that a topic can't have",
            Self::Fault(_) => "faults are for brokers and partitions that exist",
            Self::Ended => "start it again",
        }
    }
}

type Cluster<'c> = MockCluster<'c, DefaultProducerContext>;
type Call = Box<dyn FnOnce(&Cluster<'_>) + Send>;

/// A running cluster of one broker, on a thread of its own (it may not move between threads).
#[derive(Debug)]
pub struct Kafka {
    bootstrap: String,
    calls: Option<mpsc::Sender<Call>>,
    stop: mpsc::Sender<()>,
    keeper: Option<JoinHandle<()>>,
}

impl Kafka {
    /// Starts the cluster with topics of so many partitions each.
    ///
    /// # Errors
    /// No port or thread to be had, or a topic with an impossible name.
    pub fn start<'a>(topics: impl IntoIterator<Item = (&'a str, i32)>) -> Result<Self, Error> {
        let (started_sender, started) = mpsc::channel();
        let (calls, queue) = mpsc::channel::<Call>();
        let (stop, stopped) = mpsc::channel();
        let keeper = std::thread::Builder::new()
            .name("kafka".to_owned())
            .spawn(move || keep(&started_sender, &queue, &stopped))
            .map_err(Error::Thread)?;
        let bootstrap = started.recv().map_err(|_| Error::Ended)?.map_err(Error::Start)?;
        let kafka = Self { bootstrap, calls: Some(calls), stop, keeper: Some(keeper) };
        for (topic, partitions) in topics {
            kafka.create_topic(topic, partitions)?;
        }
        Ok(kafka)
    }

    /// The address, for `bootstrap.servers`.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Creates a topic. One that exists stays as it is, with as many partitions as it has.
    /// A topic that nobody created comes to be with four partitions when it is first used.
    ///
    /// # Errors
    /// A name that can't be.
    pub fn create_topic(&self, topic: &str, partitions: i32) -> Result<(), Error> {
        let name = topic.to_owned();
        let create = move |cluster: &Cluster<'_>| match cluster.create_topic(&name, partitions, 1) {
            Err(KafkaError::MockCluster(rdkafka::types::RDKafkaErrorCode::TopicAlreadyExists)) => {
                Ok(())
            }
            result => result,
        };
        self.call(create)?.map_err(|source| Error::Topic { topic: topic.to_owned(), source })
    }

    /// Lets the next requests of a kind fail, one after another.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub fn fail(&self, request: RDKafkaApiKey, with: Vec<RDKafkaRespErr>) -> Result<(), Error> {
        self.call(move |cluster| cluster.request_errors(request, &with))
    }

    /// Takes the broker off the network, or back.
    ///
    /// # Errors
    /// [`Error::Fault`].
    pub fn set_down(&self, down: bool) -> Result<(), Error> {
        let set = move |cluster: &Cluster<'_>| {
            if down { cluster.broker_down(-1) } else { cluster.broker_up(-1) }
        };
        self.call(set)?.map_err(Error::Fault)
    }

    /// Lets every answer take so long.
    ///
    /// # Errors
    /// [`Error::Fault`].
    pub fn set_round_trip(&self, time: Duration) -> Result<(), Error> {
        self.call(move |cluster| cluster.broker_round_trip_time(-1, time))?.map_err(Error::Fault)
    }

    /// Ends the cluster. All its clients must be gone.
    pub fn stop(mut self) {
        if self.stop.send(()).is_err() {
            tracing::debug!("the in-process Kafka has ended already");
        }
        drop(self.calls.take());
        if let Some(keeper) = self.keeper.take()
            && keeper.join().is_err()
        {
            tracing::error!("the thread of the in-process Kafka panicked");
        }
    }

    fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Cluster<'_>) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (sender, answer) = mpsc::channel();
        let call: Call = Box::new(move |cluster| {
            drop(sender.send(work(cluster))); // the caller waits, or is gone
        });
        let calls = self.calls.as_ref().ok_or(Error::Ended)?;
        calls.send(call).map_err(|_| Error::Ended)?;
        answer.recv().map_err(|_| Error::Ended)
    }
}

fn keep(
    started: &mpsc::Sender<Result<String, KafkaError>>,
    calls: &mpsc::Receiver<Call>,
    stopped: &mpsc::Receiver<()>,
) {
    let host = match host() {
        Ok(host) => host,
        Err(cause) => {
            drop(started.send(Err(cause))); // nobody waits: nothing to tell
            return;
        }
    };
    let Some(cluster) = host.client().mock_cluster() else { return };
    if started.send(Ok(cluster.bootstrap_servers())).is_err() {
        return;
    }
    while let Ok(call) = calls.recv() {
        call(&cluster);
    }
    // Either `stop` was called, or the owner was dropped and clients may still be closing.
    if stopped.try_recv().is_err() {
        std::thread::sleep(GRACE);
    }
}

/// The client that the cluster lives in; it goes with it.
///
/// A broker waits for further members when the first one joins a group, three seconds here; our
/// groups are small, and everybody would wait for nobody.
#[expect(unsafe_code, reason = "the cluster's own settings have no safe form")]
fn host() -> Result<BaseProducer, KafkaError> {
    let host: BaseProducer = ClientConfig::new().set("test.mock.num.brokers", "1").create()?;
    let client = host.client().native_ptr();
    // SAFETY: the client lives, and it has a cluster because of its setting (else the pointer is
    // null and nothing is called); the call only stores the number in it.
    unsafe {
        let cluster = rd_kafka_handle_mock_cluster(client);
        if !cluster.is_null() {
            rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0);
        }
    }
    Ok(host)
}

#[cfg(test)]
mod tests;
