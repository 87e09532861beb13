// A complete assessment with the generated TypeScript client: node scenario.js URL TOKEN
import assert from "node:assert/strict";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";
import { verify } from "./verify.js";

type Message = { headers: IncomingHttpHeaders; body: Buffer };

const [baseUrl, token] = process.argv.slice(2) as [string, string];
const reviewer = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}` } });
const messages: Message[] = [];
const receiver = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  messages.push({ headers: request.headers, body: Buffer.concat(chunks) });
  response.writeHead(204).end();
}).listen(0, "127.0.0.1");
await new Promise((resolve) => receiver.once("listening", resolve));
const pause = () => new Promise((resolve) => setTimeout(resolve, 100));

async function ok<T>(call: Promise<{ data?: T; error?: unknown }>): Promise<T> {
  const { data, error } = await call;
  assert.equal(error, undefined, JSON.stringify(error));
  return data as T;
}

const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
const hook = await ok(reviewer.POST("/v1/webhooks", { body: { url } }));
const levels = [{ value: 1, label: "Weak" }, { value: 5, label: "Strong" }];
const criteria = [{ key: "quality", title: "Quality", levels }];
const { rubric } = await ok(reviewer.POST("/v1/rubrics", { body: { name: "Backend", criteria } }));
const task = { title: "Backend", role: "Engineer", taskBrief: "Find out why orders are lost." };
const { assessment } = await ok(reviewer.POST("/v1/assessments", { body: task }));
const ofAssessment = { params: { path: { assessmentId: assessment.id } } };
await ok(reviewer.PATCH("/v1/assessments/{assessmentId}", { ...ofAssessment, body: { rubricId: rubric.id } }));
const numbers = Array.from({ length: 12 }, (_, number) => number);
const candidates = numbers.map((number) => ({ name: `Candidate ${number}`, externalId: `applicant-${number}` }));
const body = { count: 12, candidates };
const { keys } = await ok(reviewer.POST("/v1/assessments/{assessmentId}/keys", { ...ofAssessment, body }));
assert.equal(keys.length, 12);

/** Act as a candidate: consent, redeem, send events, complete. */
async function work(key: string): Promise<string> {
  const candidate = createClient<paths>({ baseUrl, headers: { "X-API-Key": key } });
  const { disclosureHash } = await ok(candidate.GET("/v1/candidate/consent", { params: { query: { key } } }));
  await ok(candidate.POST("/v1/candidate/consent", { body: { key, disclosureHash } }));
  const { sessionId } = await ok(candidate.POST("/v1/candidate/redeem", { body: { key } }));
  const event = { kind: "command", ts: new Date().toISOString(), v: 1, data: { command: "pytest", exitCode: 0 } };
  const events = ["1", "2", "3"].map((id) => ({ id, ...event }));
  const { results } = await ok(candidate.POST("/v1/hooks/ingest/batch", { body: { events } }));
  assert.ok(results.every((result) => result.status === "created"));
  await ok(candidate.POST("/v1/candidate/complete", { body: { key, sessionId } }));
  return sessionId;
}

const sessions: string[] = [];
for (const { key } of keys) sessions.push(await work(key));
const sessionId = sessions[0] as string;
const newToken = { name: "Carol", scopes: ["write" as const] };
const { secret } = await ok(reviewer.POST("/v1/org/tokens", { body: newToken }));
const other = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${secret}` } });
for (const [caller, value] of [[reviewer, 1], [other, 5]] as const) {
  const params = { path: { sessionId, criterion: "quality" } };
  await ok(caller.PUT("/v1/sessions/{sessionId}/scores/{criterion}", { params, body: { value } }));
}
const scores = await ok(reviewer.GET("/v1/sessions/{sessionId}/scores", { params: { path: { sessionId } } }));
assert.equal(scores.criteria[0]?.key, "quality");

const statistics = { params: { ...ofAssessment.params, query: { sessionId } } };
const { cohortStats } = await ok(reviewer.GET("/v1/assessments/{assessmentId}/cohort-stats", statistics));
assert.equal(cohortStats?.sessionCount, 12);
assert.notEqual(cohortStats?.percentiles?.promptCount, undefined);
const query = { assessmentId: assessment.id };
const table = await ok(reviewer.GET("/v1/candidates/export", { params: { query }, parseAs: "text" }));
assert.equal(table.trim().split("\n").length, 13);

const completed: components["schemas"]["SessionCompletedEvent"][] = [];
for (let after = 0; completed.length < 12; await pause()) {
  const page = await ok(reviewer.GET("/v1/events", { params: { query: { after } } }));
  for (const event of page.events) {
    if (event.type === "session.completed" && event.data.assessmentId === assessment.id) completed.push(event);
  }
  after = page.next;
}
assert.ok(candidates.some(({ externalId }) => externalId === completed[0]?.data.externalId));
const find = () => messages.find(({ body }) => body.includes('"session.completed"'));
while (!find()) await pause();
const message = find() as Message;
assert.ok(verify(hook.secret, message.headers, message.body));
assert.ok(!verify(hook.secret, message.headers, Buffer.concat([message.body, Buffer.from(" ")])));
receiver.close();
console.log("done");
