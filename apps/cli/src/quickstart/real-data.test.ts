import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { tempDir } from "@servable/testing";
import { readPenguins, readTestDigits, textRecognizer, toCsv, writeTrainingDigits } from "./real-data.ts";
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

  it("cuts IDX files so that header and bytes agree", () => {
    using dir = tempDir();

    const { images, labels } = writeTrainingDigits(dir.path, 5);

    const [image, label] = [readFileSync(images), readFileSync(labels)];
    assert.equal(image.length, 16 + 5 * 784);
    assert.deepEqual([0, 4, 8, 12].map((offset) => image.readUInt32BE(offset)), [0x803, 5, 28, 28]);
    assert.deepEqual([...label], [0, 0, 8, 1, 0, 0, 0, 5, 5, 0, 4, 1, 9]);
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
