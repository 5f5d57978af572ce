-- Signing in: passwords of our own, one-time codes, failures, and limits.
--
-- `users` is the legacy system's while its domain is not cut over, so nothing is written there.
set local lock_timeout = '10s';

-- Names as SQL Server compares them, whatever the database's locale is: under C, lower() leaves
-- Cyrillic alone.
create index users_user_name_folded_idx on users (lower(user_name collate "und-x-icu"));

-- A telephone number without its country and its punctuation: the last eight digits.
create function access.phone_digits(phone text) returns text
    language sql immutable parallel safe
    return right(regexp_replace(phone, '[^0-9]', '', 'g'), 8);
create index property_owners_phone_idx on property_owners (access.phone_digits(phone));

create table credentials (
    user_id       uuid primary key,
    -- argon2id, as a PHC string.
    password_hash text not null constraint credentials_password_hash_check
                  check (password_hash like '$argon2id$%'),
    -- SHA-256 of the legacy hash that the password was verified by. While `users` has another one
    -- now, the password was changed over there, and this row says nothing.
    legacy_digest bytea not null,
    updated_at    timestamptz not null default now()
);

-- By a keyed hash of the name that was typed, whether there is such a user or not: who is locked
-- out learns nothing about that.
create table sign_in_failures (
    identity       bytea primary key,
    failed_count   integer not null,
    last_failed_at timestamptz not null default now(),
    locked_until   timestamptz
);
create index sign_in_failures_age_idx on sign_in_failures (last_failed_at);

-- One code at a time for a number. Without a user nothing was sent, and no code is right.
create table sign_in_codes (
    identity   bytea primary key,
    user_id    uuid,
    -- Keyed: a million codes are soon tried.
    code_hash  bytea not null,
    attempts   integer not null default 0,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at    timestamptz
);
create index sign_in_codes_age_idx on sign_in_codes (expires_at);

-- Buckets. Nothing is lost with them but some seconds of patience, so they are not logged, and a
-- commit waits for no disk. No index on the time: it would be written by every request, for the
-- sake of a sweep that reads a small table.
create unlogged table rate_limits (
    key bytea primary key,
    -- The theoretical arrival time of the generic cell rate algorithm.
    tat timestamptz not null
) with (fillfactor = 50);

-- What a user may be. Staff: a role that may do everything in the legacy system, or one that the
-- operator names. Owner: his party is a living property owner. NULL: nothing here yet (tenants).
create function access.standing(person uuid, staff_roles text[])
    returns table (role text, owner_id uuid)
    language sql stable security definer set search_path = public, pg_temp
    as $$
        select
            case when staff.is_so then 'staff' when party.id is not null then 'owner' end,
            case when not staff.is_so then party.id end
        from users as person
        cross join lateral (
            select exists (
                select
                from user_roles as link
                join roles as role on role.id = link.role_id
                where link.user_id = person.id
                  and role.deleted_at is null
                  and (role.is_administrative or role.permission_policy = 'allow_all'
                       or lower(role.name collate "und-x-icu") = any (staff_roles))
            ) as is_so
        ) as staff
        left join property_owners as party
            on party.id = person.property_owner_id and party.deleted_at is null
        where person.id = standing.person
          and person.deleted_at is null
          and person.is_active
    $$;

-- Whom a code for this number signs in: nobody, when it is not exactly one.
create function access.user_by_phone(phone text) returns uuid
    language sql stable security definer set search_path = public, pg_temp
    as $$
        select case when count(*) = 1 then min(person.id::text)::uuid end
        from property_owners as party
        join users as person on person.property_owner_id = party.id
        where access.phone_digits(party.phone) = access.phone_digits(user_by_phone.phone)
          and length(access.phone_digits(user_by_phone.phone)) = 8
          and party.deleted_at is null
          and person.deleted_at is null
          and person.is_active
          and (person.lockout_end is null or person.lockout_end <= now())
    $$;

-- The device becomes the caller's, whosever it was: it changed hands, and so did its token. As
-- the owner, because row level security hides the row of another user.
create function access.register_device(id uuid, fcm_token text, platform text, session_id uuid)
    returns setof devices
    language plpgsql volatile security definer set search_path = public, pg_temp
    as $$
    #variable_conflict use_column
    begin
        if access.user_id() is null then
            raise insufficient_privilege;
        end if;
        return query
            insert into devices as device (id, user_id, fcm_token, platform, session_id)
            values (register_device.id, access.user_id(), register_device.fcm_token,
                    register_device.platform, register_device.session_id)
            on conflict on constraint devices_fcm_token_key do update set
                id = case when device.user_id = excluded.user_id then device.id else excluded.id end,
                created_at = case when device.user_id = excluded.user_id then device.created_at else now() end,
                user_id = excluded.user_id,
                platform = excluded.platform,
                session_id = excluded.session_id,
                last_seen_at = now()
            returning device.*;
        -- A bound on what one user may leave here.
        delete from devices as old
        where old.user_id = access.user_id()
          and old.id not in (
              select kept.id from devices as kept
              where kept.user_id = access.user_id()
              order by kept.last_seen_at desc, kept.id desc
              limit 20);
    end
    $$;

do $$
declare
    name text;
begin
    foreach name in array array[
        'refresh_tokens', 'credentials', 'sign_in_failures', 'sign_in_codes', 'rate_limits'] loop
        execute format('alter table %I owner to ficus_owner', name);
        execute format('alter table %I enable row level security', name);
        execute format('alter table %I force row level security', name);
        execute format('revoke all on %I from ficus_engine, ficus_reader', name);
        execute format('grant select, insert, update, delete on %I to ficus_api', name);
        if name <> 'rate_limits' then
            execute format('create policy sign_in on %I to ficus_api using ((select access.is_sign_in()))', name);
        end if;
    end loop;
    for name in
        select p.oid::regprocedure::text from pg_proc as p
        where p.pronamespace = 'access'::regnamespace
          and p.proname in ('standing', 'user_by_phone', 'register_device', 'phone_digits')
    loop
        execute format('alter function %s owner to ficus_owner', name);
        execute format('revoke execute on function %s from public', name);
        execute format('grant execute on function %s to ficus_api', name);
    end loop;
end
$$;

-- The index on the telephone numbers is kept by whoever writes them.
grant execute on function access.phone_digits(text) to ficus_engine, ficus_reader;

-- Everybody's bucket is counted before anybody is known.
create policy everybody_counts on rate_limits to ficus_api using (true);
create policy sign_in_ends on devices to ficus_api using ((select access.is_sign_in()));
create policy owner_replaces on devices to ficus_owner using (true);
