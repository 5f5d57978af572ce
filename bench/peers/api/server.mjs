// GET /v2/contracts/:id and GET /v2/contracts?limit= as one would write them with Hono and Drizzle: a middleware opens a
// transaction, looks the session up and sets the caller for row level security, the handler asks on that transaction.
import { createHash } from "node:crypto";
import { serve } from "@hono/node-server";
import { asc, eq, gt, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import { bigint, date, doublePrecision, integer, pgTable, text, uuid } from "drizzle-orm/pg-core";
import { Hono } from "hono";
import pg from "pg";

const pool = new pg.Pool({
  connectionString: process.env.DATABASE_URL,
  max: Number(process.env.POOL ?? 16),
  options: "-c role=ficus_api",
});
const db = drizzle(pool);

const contracts = pgTable("contracts", {
  id: uuid().primaryKey(),
  companyNo: text("company_no"),
  contractNo: text("contract_no"),
  tenantId: uuid("tenant_id"),
  startDate: date("start_date"),
  endDate: date("end_date"),
  status: text(),
  currency: text(),
  monthlyTotal: bigint("monthly_total", { mode: "bigint" }),
  vatRate: doublePrecision("vat_rate"),
  version: integer(),
  terms: text(),
});
const { terms, ...listed } = {
  id: contracts.id, companyNo: contracts.companyNo, contractNo: contracts.contractNo, tenantId: contracts.tenantId,
  signedOn: sql`to_char(signed_on at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`,
  startDate: contracts.startDate, endDate: contracts.endDate, status: contracts.status, currency: contracts.currency,
  monthlyTotal: contracts.monthlyTotal, vatRate: contracts.vatRate, version: contracts.version, terms: contracts.terms,
};
const shown = (row) => ({ ...row, monthlyTotal: row.monthlyTotal?.toString() ?? null });
const failure = (code, message) => ({ error: { code, message } });

const app = new Hono();

app.use("/v2/*", async (c, next) => {
  const token = c.req.header("authorization")?.replace(/^Bearer /, "") ?? "";
  const hash = createHash("sha256").update(token).digest();
  await db.transaction(async (tx) => {
    const { rows } = await tx.execute(sql`select user_id, owner_id, role,
      set_config('app.user_id', user_id::text, true), set_config('app.owner_id', coalesce(owner_id::text, ''), true),
      set_config('app.role', role, true) from session_by_token_hash(${hash})`);
    if (rows.length === 0) {
      c.res = c.json(failure("FORBIDDEN", "Please sign in."), 401);
      return;
    }
    c.set("tx", tx);
    await next();
  }, { accessMode: "read only" });
});

app.get("/v2/contracts", async (c) => {
  const limit = Math.min(Math.max(Number(c.req.query("limit") ?? 50) || 50, 1), 200);
  const after = c.req.query("cursor") ?? "00000000-0000-0000-0000-000000000000";
  const own = sql`(select distinct contract_id from access.own_contracts
    where contract_id > ${after} order by contract_id) as own`;
  const rows = await c.get("tx").select(listed).from(contracts)
    .innerJoin(own, sql`own.contract_id = ${contracts.id}`)
    .where(gt(contracts.id, after)).orderBy(asc(contracts.id)).limit(limit + 1);
  const items = rows.slice(0, limit).map(shown);
  return c.json({ items, nextCursor: rows.length > limit ? items.at(-1).id : null });
});

app.get("/v2/contracts/:id", async (c) => {
  const [row] = await c.get("tx").select({ ...listed, terms }).from(contracts).where(eq(contracts.id, c.req.param("id")));
  return row ? c.json(shown(row)) : c.json(failure("NOT_FOUND", "Not found."), 404);
});

const server = serve({ fetch: app.fetch, hostname: "127.0.0.1", port: 0 }, ({ address, port }) => {
  process.stdout.write(`${address}:${port}\n`);
});
// Whoever started it ends it by closing its standard input.
process.stdin.on("end", () => { server.close(); process.exit(0); }).resume();
