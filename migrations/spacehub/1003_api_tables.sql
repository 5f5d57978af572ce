-- What the API keeps beside the domains: sessions, idempotency keys, the outbox, the audit trail
-- and devices. Ids are UUID v7, minted by the API.
set local lock_timeout = '10s';

create table sessions (
    id         uuid primary key,
    user_id    uuid not null,
    kind       text not null constraint sessions_kind_check check (kind in ('web', 'mobile')),
    -- Tokens are stored hashed: a copy of this table opens no door.
    token_hash bytea not null constraint sessions_token_hash_key unique,
    -- What the session's requests say of themselves: `app.role` and `app.owner_id`.
    role       text not null constraint sessions_role_check check (role in ('staff', 'owner')),
    owner_id   uuid,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    revoked_at timestamptz,
    constraint sessions_owner_check check ((role = 'owner') = (owner_id is not null))
);
create index sessions_user_idx on sessions (user_id);
create index sessions_expires_at_idx on sessions (expires_at);

create table idempotency_keys (
    id           uuid primary key,
    key          text not null constraint idempotency_keys_key_check check (length(key) between 1 and 255),
    route        text not null,
    user_id      uuid not null,
    -- Same key and same body = same response; same key and another body is refused.
    request_hash bytea not null,
    -- NULL while the first request is still running.
    status       smallint,
    response     bytea,
    created_at   timestamptz not null default now(),
    completed_at timestamptz,
    constraint idempotency_keys_key_route_key unique (key, route),
    constraint idempotency_keys_completed_check
        check ((status is null) = (completed_at is null))
);
create index idempotency_keys_created_at_idx on idempotency_keys (created_at);

create table outbox (
    id             uuid primary key,
    topic          text not null,
    payload        jsonb not null,
    user_id        uuid,
    correlation_id text,
    state          text not null default 'pending' constraint outbox_state_check
                   check (state in ('pending', 'done', 'dead')),
    attempts       integer not null default 0,
    available_at   timestamptz not null default now(),
    last_error     text,
    created_at     timestamptz not null default now(),
    done_at        timestamptz
);
create index outbox_pending_idx on outbox (topic, available_at, id) where state = 'pending';

create table audit_log (
    id             uuid primary key,
    at             timestamptz not null default now(),
    user_id        uuid,
    owner_id       uuid,
    role           text,
    action         text not null constraint audit_log_action_check
                   check (action in ('create', 'update', 'delete', 'transition')),
    entity         text not null,
    entity_id      uuid not null,
    before         jsonb,
    after          jsonb,
    correlation_id text
);
create index audit_log_entity_idx on audit_log (entity, entity_id, id);

create table devices (
    id           uuid primary key,
    user_id      uuid not null,
    fcm_token    text not null constraint devices_fcm_token_key unique,
    platform     text not null constraint devices_platform_check
                 check (platform in ('android', 'ios', 'web')),
    created_at   timestamptz not null default now(),
    last_seen_at timestamptz not null default now()
);
create index devices_user_idx on devices (user_id);
