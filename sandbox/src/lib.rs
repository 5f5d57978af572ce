//! A local Postgres, an in-process Kafka and a small legacy server that speaks TDS: for demo and tests only.

pub mod debezium;
pub mod kafka;
pub mod postgres;
pub mod web;

pub mod legacy;
pub mod tds;
