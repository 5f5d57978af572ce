-- A session is a family of tokens: one short-lived access token, and refresh tokens of which each
-- may be used once. Sessions end by themselves when their user is disabled.
set local lock_timeout = '10s';

alter table sessions
    -- Which refresh token is the current one; NULL for a session without any, which its opener
    -- vouches for (tests, the demo).
    add column generation          integer,
    -- The access token's own end; NULL: that of the session.
    add column token_expires_at    timestamptz,
    -- Requests that were under way during a refresh still show the access token before.
    add column previous_token_hash bytea,
    add column previous_expires_at timestamptz,
    -- SHA-256 of the stored password that the session was opened with: a session does not outlive
    -- a change of the password.
    add column password_digest     bytea,
    add column ended_by            text constraint sessions_ended_by_check
        check (ended_by in ('sign-out', 'sign-out-everywhere', 'token-reused', 'user-disabled', 'password-changed'));
create index sessions_previous_idx on sessions (previous_token_hash) where previous_token_hash is not null;

-- The history stays as long as its session: a token that was rotated away and comes back tells
-- that somebody has a copy.
create table refresh_tokens (
    token_hash bytea primary key,
    session_id uuid not null references sessions on delete cascade,
    generation integer not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    rotated_at timestamptz,
    -- What the successor was derived with, beside this token and the server's key.
    salt       bytea,
    constraint refresh_tokens_generation_key unique (session_id, generation),
    constraint refresh_tokens_rotated_check check ((rotated_at is null) = (salt is null))
);

-- PL/pgSQL, because its plan is kept with the connection: this is asked by every request. (As a
-- function in SQL it would be planned each time, which took twice as long as this does.)
create or replace function session_by_token_hash(token_hash bytea)
    returns table (user_id uuid, owner_id uuid, role text)
    language plpgsql stable security definer set search_path = public, pg_temp
    as $$
    #variable_conflict use_column
    begin
        return query
            select session.user_id, session.owner_id, session.role
            from (
                select * from sessions as current
                where current.token_hash = session_by_token_hash.token_hash
                  and now() < coalesce(current.token_expires_at, current.expires_at)
                union all
                select * from sessions as before
                where before.previous_token_hash = session_by_token_hash.token_hash
                  and now() < before.previous_expires_at
            ) as session
            left join users as person on person.id = session.user_id
            where session.revoked_at is null
              and session.expires_at > now()
              and (person.id is not null or session.generation is null)
              and person.deleted_at is null
              and person.is_active is not false
            limit 1;
    end
    $$;

alter table audit_log drop constraint audit_log_action_check;
alter table audit_log add constraint audit_log_action_check check (action in (
    'create', 'update', 'delete', 'transition',
    'sign-in', 'sign-in-failed', 'sign-out', 'token-reused'));

alter table devices
    -- A device gets no more messages when the session that registered it ends.
    add column session_id uuid,
    add constraint devices_fcm_token_check check (length(fcm_token) between 1 and 4096);
create index devices_session_idx on devices (session_id);
