-- What was answered beside status and body, so that the same request gets it again.
set local lock_timeout = '10s';

alter table idempotency_keys
    add column location text,
    add column etag     text;
