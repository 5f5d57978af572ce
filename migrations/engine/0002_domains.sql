-- Domain states (law 12): which side owns a domain, and which steps are allowed. The guarantee
-- is given here and not in the program: an UPDATE that is no allowed step fails, whoever sends it,
-- and each step is written down in the same transaction.
set local lock_timeout = '10s';

create table ficus.audit (
  id bigint generated always as identity,
  at timestamptz not null default clock_timestamp(),
  actor text not null,
  action text not null,
  subject text not null,
  detail jsonb not null default '{}',
  constraint audit_pkey primary key (id)
);
comment on table ficus.audit is 'Who decided what. Append-only: nobody but the owner may change it.';

create table ficus.domain (
  name text not null,
  state text not null default 'legacy',
  since timestamptz not null default clock_timestamp(),
  constraint domain_pkey primary key (name),
  constraint domain_state_check check (state in
    ('legacy', 'backfilling', 'following', 'verified', 'cut_over', 'rolled_back', 'retired'))
);

create table ficus.domain_transition (
  from_state text not null,
  to_state text not null,
  why text not null,
  constraint domain_transition_pkey primary key (from_state, to_state)
);
insert into ficus.domain_transition (from_state, to_state, why) values
  ('legacy', 'backfilling', 'the copy begins'),
  ('backfilling', 'legacy', 'the copy is given up'),
  ('backfilling', 'following', 'every row is copied; the stream keeps it current'),
  ('following', 'backfilling', 'rows are copied again'),
  ('following', 'verified', 'reconcile found no difference'),
  ('verified', 'following', 'the verdict has gone stale, or a difference was found'),
  ('verified', 'cut_over', 'handed over: Postgres owns the domain'),
  ('cut_over', 'rolled_back', 'handed back to the legacy system'),
  -- While it was cut over the stream passed the domain by, so going on needs a new copy.
  ('rolled_back', 'backfilling', 'the copy begins again'),
  ('cut_over', 'retired', 'the legacy tables are given up');

create function ficus.domain_guard() returns trigger
language plpgsql set search_path = ficus, pg_catalog as $$
begin
  if new.state is distinct from old.state then
    if not exists (select from domain_transition where from_state = old.state and to_state = new.state) then
      raise exception 'a domain can not go from % to %', old.state, new.state
        using errcode = '55000', constraint = 'domain_transition_allowed';
    end if;
    new.since := clock_timestamp();
    insert into audit (actor, action, subject, detail) values (
      coalesce(nullif(current_setting('ficus.actor', true), ''), session_user::text),
      'domain.transition', new.name,
      jsonb_build_object('from', old.state, 'to', new.state,
        'reason', nullif(current_setting('ficus.reason', true), '')));
    perform pg_notify('ficus_domain', new.name || ':' || new.state);
  end if;
  return new;
end
$$;
create trigger domain_guard before update on ficus.domain
  for each row execute function ficus.domain_guard();

create table ficus.waiver (
  domain text not null,
  gate text not null,
  subject text not null default '',
  reason text not null,
  actor text not null,
  at timestamptz not null default clock_timestamp(),
  constraint waiver_pkey primary key (domain, gate, subject),
  constraint waiver_reason_check check (length(trim(reason)) > 0)
);
comment on table ficus.waiver is 'A red gate that somebody takes upon himself, by name and with a reason.';

create table ficus.setting (
  name text not null,
  value jsonb not null,
  updated_at timestamptz not null default clock_timestamp(),
  constraint setting_pkey primary key (name)
);

revoke update, delete on ficus.audit, ficus.domain_transition from ficus_engine;
grant select on ficus.audit, ficus.domain, ficus.domain_transition, ficus.waiver, ficus.setting to ficus_reader;
grant select on ficus.domain to ficus_api;
