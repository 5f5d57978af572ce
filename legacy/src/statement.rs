//! Every T-SQL statement, built in one place. Identifiers are quoted, values are parameters.
