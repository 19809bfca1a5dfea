import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { runCli } from "@servable/cli";
import OpenAI, { toFile } from "openai";
import { TestPlatform } from "../src/test-platform.ts";
import { writeTinyDecoder, writeTinyEncoder } from "../src/tiny-language-models.ts";

const REFUND = ["i want my money back", "refund please", "i want a refund", "money back please", "please refund my order"];
const LOST = ["my card is lost", "where is my card", "i lost my card", "the card is lost", "lost card"];
/** Texts with the label that an assistant should answer. */
const EXAMPLES = Array.from({ length: 8 }, () => [...REFUND.map((text) => [text, "refund"] as const), ...LOST.map((text) => [text, "lost"] as const)]).flat();
const jsonl = (examples: readonly (readonly [string, string])[]): string => examples.map(([text, label]) => JSON.stringify({ messages: [{ role: "user", content: text }, { role: "assistant", content: label }] })).join("\n");

describe("fine-tuning with an unmodified OpenAI client", () => {
  let platform: TestPlatform;
  let openai: OpenAI;
  let decoder = "";
  before(async () => {
    platform = await TestPlatform.create({ trace: false });
    openai = new OpenAI({ baseURL: `http://${platform.platform.httpAddress.replace(/^http:\/\//, "")}/v1`, apiKey: platform.apiKey, maxRetries: 4 });
    await platform.client.models.importVersion({ model: "tiny-encoder", ...writeTinyEncoder(join(platform.dataDir, "encoder")) });
    await platform.client.models.importVersion({ model: "tiny-gpt", ...writeTinyDecoder(join(platform.dataDir, "decoder")) });
  });
  after(() => platform[Symbol.asyncDispose]());

  const upload = async (text: string) => (await openai.files.create({ file: await toFile(Buffer.from(text), "train.jsonl"), purpose: "fine-tune" })).id;
  const ended = async (id: string) => {
    for (;;) {
      const job = await openai.fineTuning.jobs.retrieve(id);
      if (["succeeded", "failed", "cancelled"].includes(job.status)) return job;
      await sleep(100);
    }
  };

  it("uploads, trains, follows, and gets labels from a classifier under its ft: name", async () => {
    const file = await openai.files.waitForProcessing(await upload(jsonl(EXAMPLES)));
    assert.equal(file.status, "processed");
    const made = await openai.fineTuning.jobs.create({ model: "tiny-encoder", training_file: file.id, suffix: "intents", seed: 11, metadata: { team: "a" }, method: { type: "supervised", supervised: { hyperparameters: { n_epochs: 12, batch_size: 8, learning_rate_multiplier: 25 } } } });
    assert.equal(made.object, "fine_tuning.job");
    assert.equal(made.status, "validating_files");
    assert.equal(made.fine_tuned_model, null);

    const job = await ended(made.id);

    assert.equal(job.status, "succeeded", JSON.stringify(job.error));
    assert.match(job.fine_tuned_model ?? "", /^ft:tiny-encoder:default:intents:[0-9a-f]{8}$/);
    assert.deepEqual([job.hyperparameters.n_epochs, job.seed, job.metadata], [12, 11, { team: "a" }]);
    const messages = [];
    for await (const event of openai.fineTuning.jobs.listEvents(job.id, { limit: 3 })) messages.push(event.message);
    assert.equal(messages[0], "The job has successfully completed");
    assert.equal(messages.at(-1), `Created fine-tuning job: ${job.id}`);
    assert.ok(messages.some((message) => /^Step \d+\/\d+: training loss=/.test(message)));
    const jobs = [];
    for await (const each of openai.fineTuning.jobs.list({ limit: 1 })) jobs.push(each.id);
    assert.deepEqual(jobs, [job.id]);
    const checkpoints = [];
    for await (const each of openai.fineTuning.jobs.checkpoints.list(job.id)) checkpoints.push(each);
    for (const each of checkpoints) assert.deepEqual([each.object, each.fine_tuning_job_id, each.metrics.step], ["fine_tuning.job.checkpoint", job.id, each.step_number]);
    const csv = await (await openai.files.content(job.result_files[0] ?? "")).text();
    assert.match(csv, /^step,train_loss,valid_loss,valid_mean_token_accuracy\n\d/);

    const model = job.fine_tuned_model ?? "";
    for (const [text, label] of [["i want money back", "refund"], ["where is the lost card", "lost"]] as const) {
      const completion = await openai.chat.completions.create({ model, messages: [{ role: "system", content: "Sort the message." }, { role: "user", content: text }], logprobs: true, top_logprobs: 2 });
      assert.equal(completion.choices[0]?.message.content, label);
      assert.equal(completion.choices[0]?.finish_reason, "stop");
      const [token] = completion.choices[0]?.logprobs?.content ?? [];
      assert.deepEqual(token?.top_logprobs.map((each) => each.token).sort(), ["lost", "refund"]);
      assert.ok((token?.logprob ?? -9) > Math.log(0.5));
      assert.ok((completion.usage?.prompt_tokens ?? 0) > 2);
    }
    let streamed = "";
    for await (const chunk of await openai.chat.completions.create({ model, messages: [{ role: "user", content: "refund please" }], stream: true, stream_options: { include_usage: true } })) streamed += chunk.choices[0]?.delta.content ?? (chunk.usage === null ? "" : "|");
    assert.equal(streamed, "refund|");
    const report = await platform.client.models.artifact(model.replaceAll(":", ","), "1", "report.html");
    assert.match(Buffer.from(report).toString(), /Confusion matrix/);
    const page = await platform.fetch(`/v2/models/${model.replaceAll(":", ",")}/versions/1/report`);
    assert.deepEqual([page.status, page.headers.get("content-type"), /sandbox/.test(page.headers.get("content-security-policy") ?? "")], [200, "text/html; charset=utf-8", true]);
    assert.deepEqual(Buffer.from(await page.arrayBuffer()), Buffer.from(report));
    assert.equal((await platform.fetch("/v2/models/tiny-encoder/versions/1/report")).status, 404);

    assert.ok((await openai.models.list()).data.some(({ id }) => id === model));
    assert.equal((await openai.models.delete(model)).deleted, true);
    await assert.rejects(openai.chat.completions.create({ model, messages: [{ role: "user", content: "x" }] }), (error) => error instanceof OpenAI.NotFoundError && error.code === "model_not_found");
  });

  it("fine-tunes a decoder that then says what it was taught, streamed and whole, the same each time", async () => {
    const training = EXAMPLES.map(([text, label]) => [text, `${label} yes`] as const);
    const made = await openai.fineTuning.jobs.create({ model: "tiny-gpt", training_file: await upload(jsonl(training)), validation_file: await upload(jsonl(training.slice(0, 10))), method: { type: "supervised", supervised: { hyperparameters: { n_epochs: 15, batch_size: 8, learning_rate_multiplier: 20 } } } });

    const job = await ended(made.id);

    assert.equal(job.status, "succeeded", JSON.stringify(job.error));
    const model = job.fine_tuned_model ?? "";
    decoder = model.replaceAll(":", ",");
    const ask = (text: string) => openai.chat.completions.create({ model, temperature: 0, max_tokens: 8, messages: [{ role: "user", content: text }] });
    assert.equal((await ask("i want my money back")).choices[0]?.message.content, "refund yes");
    const lost = await ask("my card is lost");
    assert.equal(lost.choices[0]?.message.content, "lost yes");
    let streamed = "";
    for await (const chunk of await openai.chat.completions.create({ model, temperature: 0, max_tokens: 8, messages: [{ role: "user", content: "my card is lost" }], stream: true })) streamed += chunk.choices[0]?.delta.content ?? "";
    assert.equal(streamed, "lost yes");
    const [one, two] = await Promise.all([1, 2].map(() => openai.completions.create({ model, prompt: "user: hello\nassistant:", max_tokens: 6, temperature: 1.5, seed: 7 })));
    assert.equal(one?.choices[0]?.text, two?.choices[0]?.text);
    const stopped = await openai.chat.completions.create({ model, temperature: 0, stop: "yes", messages: [{ role: "user", content: "my card is lost" }] });
    assert.equal(stopped.choices[0]?.message.content?.trim(), "lost");
    assert.equal(stopped.choices[0]?.finish_reason, "stop");
  });

  it("leaves numbers, report and card for the command line, and numbers that gates hold an alias by", async () => {
    const cli = async (...args: string[]) => {
      let said = "";
      const output = { write: (text: string) => ((said += text), true) };
      const code = await runCli(args, { stdout: output, stderr: output, env: { SERVABLE_ADDRESS: platform.platform.grpcAddress, SERVABLE_API_KEY: platform.apiKey } });
      return { code, said };
    };
    const page = join(platform.dataDir, "page.html");

    assert.match((await cli("models", "report", decoder)).said, /perplexity +\d/);
    assert.match((await cli("models", "report", `${decoder}@1`, "--card")).said, /^# Model card: .*tiny-gpt/m);
    assert.equal((await cli("models", "report", decoder, "--output", page)).code, 0);
    assert.match(readFileSync(page, "utf8"), /<h2>Learning<\/h2>/);
    assert.match((await cli("models", "report", "tiny-gpt", "--card")).said, /has no MODEL_CARD\.md/);

    assert.equal((await cli("models", "gate", "set", decoder, "production", "--rule", "perplexity<=0.5", "--rule", "perplexity drop<=1")).code, 0);
    const refused = await cli("models", "alias", "set", decoder, "production", "1");
    assert.notEqual(refused.code, 0);
    assert.match(refused.said, /perplexity is [\d.]+, at most 0\.5 is asked for/);
    assert.equal((await cli("models", "alias", "set", decoder, "production", "1", "--force")).code, 0);
    assert.match((await cli("models", "gate", "list", decoder)).said, /production +perplexity <= 0\.5/);
    assert.match((await cli("models", "gate", "delete", decoder, "production")).said, /no gates/);
  });

  it("names the line of a bad file in the job's error", async () => {
    const bad = `${jsonl(EXAMPLES.slice(0, 12))}\n{"messages": "none"}`;

    const job = await ended((await openai.fineTuning.jobs.create({ model: "tiny-encoder", training_file: await upload(bad) })).id);

    assert.deepEqual([job.status, job.error?.code, job.error?.param], ["failed", "invalid_training_file", "training_file"]);
    assert.match(job.error?.message ?? "", /line 13/);
  });

  for (const { what, body, error, param } of [
    { what: "preference tuning", body: { method: { type: "dpo" } }, error: OpenAI.BadRequestError, param: "method" },
    { what: "integrations", body: { integrations: [{ type: "wandb", wandb: { project: "x" } }] }, error: OpenAI.BadRequestError, param: "integrations" },
    { what: "0 epochs", body: { hyperparameters: { n_epochs: 0 } }, error: OpenAI.BadRequestError, param: "n_epochs" },
    { what: "a base model that is not there", body: { model: "nobody" }, error: OpenAI.NotFoundError, param: "model" },
    { what: "a file that is not there", body: { training_file: "file-0" }, error: OpenAI.NotFoundError, param: "training_file" },
  ] as const) {
    it(`refuses ${what} in the API's words`, async () => {
      const create = openai.fineTuning.jobs.create({ model: "tiny-encoder", training_file: "file-1", ...body } as OpenAI.FineTuning.JobCreateParams);

      await assert.rejects(create, (thrown) => thrown instanceof error && thrown.param === param);
    });
  }

  it("keeps files as they were, pages them, and forgets those that are deleted", async () => {
    const ids = [];
    for (const text of ["one", "two", "three"]) ids.push((await openai.files.create({ file: await toFile(Buffer.from(text), `${text}.txt`), purpose: "user_data" })).id);

    const listed = [];
    for await (const file of openai.files.list({ purpose: "user_data", limit: 2, order: "asc" })) listed.push(file);

    assert.deepEqual(listed.map(({ id, filename, bytes }) => [id, filename, bytes]), [[ids[0], "one.txt", 3], [ids[1], "two.txt", 3], [ids[2], "three.txt", 5]]);
    assert.equal(await (await openai.files.content(ids[1] ?? "")).text(), "two");
    assert.deepEqual(await openai.files.delete(ids[1] ?? ""), { id: ids[1], object: "file", deleted: true });
    await assert.rejects(openai.files.retrieve(ids[1] ?? ""), OpenAI.NotFoundError);
  });
});
