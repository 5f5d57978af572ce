//! A local Postgres, an in-process Kafka and a small legacy server that speaks TDS: for demo and tests only.
