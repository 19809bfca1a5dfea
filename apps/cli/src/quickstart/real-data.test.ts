import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { readPenguins, readTestDigits, textRecognizer, toCsv, trainingDigits } from "./real-data.ts";
import { drawStrip, renderPicture, stripTensor } from "./text-strip.ts";

describe("real data of the quickstart", () => {
  it("has 344 penguins with gaps as CSV", () => {
    const lines = toCsv(readPenguins()).trimEnd().split("\n");

    assert.equal(lines.length, 345);
    assert.equal(lines[0], "species,island,bill_length_mm,bill_depth_mm,flipper_length_mm,body_mass_g,sex");
    assert.equal(lines[4], "Adelie,Torgersen,,,,,");
  });

  it("has the test digits in their known order", () => {
    const digits = readTestDigits();

    assert.deepEqual([0, 1, 2, 3].map((index) => digits.label(index)), [7, 2, 1, 0]);
    assert.equal(digits.image(0).length, 784);
  });

  it("has 60000 digits to train on", () => {
    const { images, labels } = trainingDigits();

    assert.equal(readFileSync(images).readUInt32BE(4), 60_000);
    assert.deepEqual([...readFileSync(labels).subarray(8, 13)], [5, 0, 4, 1, 9]);
  });

  it("knows the recogniser's characters", () => {
    assert.ok(textRecognizer().characters.includes("7"));
  });

  it("draws a line of digits, dark on light, 48 pixels high", () => {
    const picture = drawStrip(readTestDigits(), [0, 1]);
    const { shape, data } = stripTensor(picture);

    assert.deepEqual(shape, [1, 3, 48, picture.width]);
    assert.equal(data.length, 3 * 48 * picture.width);
    assert.ok(Math.abs(Math.max(...data) - 1) < 1e-6 && Math.min(...data) < -0.9);
    assert.ok(renderPicture(picture, 40).some((line) => line.includes("█")));
  });
});
