import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { evaluateClassification, evaluateLanguageModel, evaluateRegression, renderModelCard, renderReport, type ReportInput } from "../src/index.ts";

const EVIL = `</style></title><script>alert("1")</script><img src=x onerror='alert(2)'>|*&`;

/** A classifier's report with hostile text wherever a caller can put text. */
function hostile(): ReportInput {
  const targets = Array.from({ length: 60 }, (_, row) => row % 2);
  return {
    title: EVIL,
    intendedUse: EVIL,
    evaluation: evaluateClassification({ classes: [EVIL, "yes"], targets, probabilities: targets.map((target, row) => (target + (row % 7) / 7) / 2), slices: [{ name: EVIL, values: targets.map(() => EVIL) }], sliceOptions: { rowCountMin: 5 } }),
    history: [1, 2, 3].map((step) => ({ step, loss: 1 / step, validationLoss: 1.1 / step, validationAccuracy: step / 4 })),
    data: { [EVIL]: EVIL },
    run: { seed: EVIL },
    limits: [EVIL],
  };
}

/** Elements in order, and a check that every one is closed where it must be. */
function elementsOf(page: string): string[] {
  const open: string[] = [];
  const all: string[] = [];
  for (const [, slash, name = "", selfClosed] of page.matchAll(/<(\/?)([a-z0-9]+)(?:\s+[a-zA-Z:-]+="[^"<>]*")*\s*(\/?)>/g)) {
    if (slash !== "") assert.equal(open.pop(), name, `</${name}> closes nothing`);
    else {
      all.push(name);
      if (selfClosed === "" && !["meta", "br"].includes(name)) open.push(name);
    }
  }
  assert.deepEqual(open, []);
  return all;
}

describe("the report", () => {
  it("draws a classifier without scripts, links or anything from elsewhere", () => {
    const page = renderReport(hostile());

    const elements = new Set(elementsOf(page));
    for (const banned of ["script", "img", "link", "iframe", "a", "object"]) assert.equal(elements.has(banned), false, banned);
    assert.equal(/https?:|url\(|@import|javascript:/.test(page), false);
    assert.match(page, /Content-Security-Policy" content="default-src 'none'/);
    for (const title of ["Loss over steps", "ROC curve", "Precision over recall", "Calibration", "Confusion matrix"]) assert.match(page, new RegExp(`<title>${title}</title>`));
  });

  it("shows hostile names as text", () => {
    const page = renderReport(hostile());

    assert.equal(page.includes("<script"), false);
    assert.equal(page.includes("<img"), false);
    assert.ok(page.includes("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;"));
    assert.equal(page.match(/<style>/g)?.length, 1);
    assert.equal(page.match(/<\/style>/g)?.length, 1);
  });

  it("names each plot for those who do not see it", () => {
    const page = renderReport(hostile());

    assert.equal(page.match(/<svg[^>]*role="img"><title>/g)?.length, page.match(/<svg/g)?.length);
  });

  it("is the same text for the same input", () => {
    assert.equal(renderReport(hostile()), renderReport(hostile()));
  });

  it("draws a regression's errors", () => {
    const targets = Array.from({ length: 50 }, (_, row) => row);
    const page = renderReport({ title: "price", evaluation: evaluateRegression({ targets, predictions: targets.map((target) => target + Math.sin(target)) }) });

    elementsOf(page);
    assert.match(page, /Prediction over target/);
    assert.equal(page.includes("Confusion"), false);
    assert.equal(/NaN|Infinity|undefined/.test(page), false);
  });

  for (const [what, evaluation] of [
    ["no rows of a classifier", evaluateClassification({ classes: ["a", "b"], targets: [], probabilities: [] })],
    ["no rows of a regression", evaluateRegression({ targets: [], predictions: [] })],
    ["a language model", evaluateLanguageModel({ texts: [{ negativeLogLikelihood: 3, tokenCount: 2, correctCount: 1 }] })],
    ["sixty classes", evaluateClassification({ classes: Array.from({ length: 60 }, (_, index) => `c${index}`), targets: Array.from({ length: 60 }, (_, row) => row), probabilities: Array<number>(3600).fill(1 / 60) })],
  ] as const) {
    it(`has no hole for ${what}`, () => {
      const page = renderReport({ title: "m", evaluation });

      elementsOf(page);
      assert.equal(/NaN|Infinity|undefined/.test(page), false);
    });
  }
});

describe("the model card", () => {
  it("says use, metrics with intervals, slices, limits, data and training", () => {
    const card = renderModelCard({ ...hostile(), title: "churn", data: { digest: "sha256:ab" }, run: { seed: "7" }, intendedUse: "Find customers who leave." });

    for (const heading of ["Intended use", "Metrics", "Classes", "Slices", "Limits", "Data", "Training record"]) assert.match(card, new RegExp(`^## ${heading}$`, "m"));
    assert.match(card, /\| accuracy \| [\d.]+ \(95 %: [\d.]+ to [\d.]+\) \|/);
    assert.match(card, /Only 60 rows were evaluated/);
    assert.match(card, /\| digest \| sha256:ab \|/);
  });

  it("asks for the use where none is stated", () => {
    assert.match(renderModelCard({ title: "m", evaluation: hostile().evaluation }), /_Not stated\./);
  });

  it("lets no name become markup or break a table", () => {
    const card = renderModelCard(hostile());

    assert.equal(card.includes("<script"), false);
    const widths = card.split("\n").filter((line) => line.startsWith("| accuracy") || line.includes("alert(2)")).filter((line) => line.startsWith("|"));
    for (const line of widths) assert.ok((line.match(/(?<!\\)\|/g) ?? []).length <= 6, line);
  });

  it("warns of a model that is no better than a guess, and of a slice that it fails", () => {
    const targets = Array.from({ length: 300 }, (_, row) => row % 2);
    const group = targets.map((_, row) => (row < 200 ? "north" : "south"));
    const failing = evaluateClassification({ classes: ["no", "yes"], targets, probabilities: targets.map((target, row) => (row < 200 ? target : 1 - target)), slices: [{ name: "region", values: group }] });

    assert.match(renderModelCard({ title: "m", evaluation: failing }), /Clearly worse where region is south/);
    assert.match(renderModelCard({ title: "m", evaluation: evaluateClassification({ classes: ["no", "yes"], targets, probabilities: targets.map(() => 0.2) }) }), /no better than always answering/);
  });
});
