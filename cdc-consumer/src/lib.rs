//! Debezium change events from Kafka into the one way in.
