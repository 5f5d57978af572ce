//! The list of all tests. A test that needs what is not here is ignored, and said to be.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

use crate::{broker, hooks, kafka, kills};

/// Most of a test's time is waiting for a group or for a process, so a few run side by side.
const THREADS: usize = 4;

/// Runs what the command line asks for.
pub(crate) fn run() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    let (mut trials, mut real) = (Vec::new(), Vec::new());
    kills::add(&mut trials);
    hooks::add(&mut trials, &mut real);
    kafka::add(&mut real);
    let is_here = std::env::var_os(broker::ADDRESS).is_some();
    if !is_here {
        println!(
            "skipped: {} tests need a real Kafka (Java and Maven): \
             deploy/kafka/broker run cargo test -p ficus --test faults -- kafka",
            real.len()
        );
    }
    trials.extend(real.into_iter().map(|trial| trial.with_ignored_flag(!is_here)));
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A test: a future on a runtime of its own.
pub(crate) fn trial<F: Future<Output = ()>>(
    name: &str,
    test: impl FnOnce() -> F + Send + 'static,
) -> Trial {
    Trial::test(name, move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        runtime.block_on(test());
        Ok(())
    })
}
