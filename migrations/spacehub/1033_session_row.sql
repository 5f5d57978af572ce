-- A token has one session at most. Statements begin with this function, and the planner took it for
-- a thousand rows: what stands behind it looked a thousand times as dear, so dear that a Postgres
-- which compiles expressions (`jit`, on by default) spent half a second on that for each new connection.
set local lock_timeout = '10s';

alter function session_by_token_hash(bytea) rows 1;
