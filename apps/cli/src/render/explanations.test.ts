import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inflateSync } from "node:zlib";
import { heatMap } from "./heat-map.ts";
import { encodePng } from "./png.ts";
import { coloredText, explanationPage, type WeightedToken } from "./weighted-tokens.ts";

describe("PNG files", () => {
  it("hold the pixels as the format wants them", () => {
    const rgb = Uint8Array.of(255, 0, 0, 250, 10, 0, 0, 0, 255, 1, 2, 3);

    const file = encodePng({ width: 2, height: 2, rgb });

    assert.deepEqual([...file.subarray(0, 8)], [0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]);
    assert.deepEqual([file.readUInt32BE(16), file.readUInt32BE(20), file[24], file[25]], [2, 2, 8, 2]);
    const length = file.readUInt32BE(33);
    const rows = inflateSync(file.subarray(41, 41 + length));
    // Each row begins with its filter; "Sub" is undone by adding the pixel on the left.
    const undone = [0, 1].flatMap((row) => {
      assert.equal(rows[row * 7], 1);
      const left = [...rows.subarray(row * 7 + 1, row * 7 + 4)];
      return [...left, ...[0, 1, 2].map((channel) => ((rows[row * 7 + 4 + channel] ?? 0) + (left[channel] ?? 0)) % 256)];
    });
    assert.deepEqual(undone, [...rgb]);
    assert.equal(file.subarray(-8, -4).toString("latin1"), "IEND");
  });
});

describe("heat-maps", () => {
  const grey = { width: 4, height: 1, rgb: new Uint8Array(12).fill(128) };
  const colorAt = (pixels: Uint8Array, pixel: number) => [...pixels.subarray(pixel * 3, pixel * 3 + 3)] as [number, number, number];

  for (const [layout, shape, values] of [["channels first", [1, 3, 1, 4], [2, 0, -2, 0, 1, 0, -1, 0, 1, 0, -1, 0]], ["channels last", [1, 4, 3], [2, 1, 1, 0, 0, 0, -2, -1, -1, 0, 0, 0]]] as const) {
    it(`show the picture, and beside it what spoke for and against, ${layout}`, () => {
      const { width, height, rgb } = heatMap(grey, { shape, values });

      assert.deepEqual([width, height], [8, 1]);
      assert.deepEqual(colorAt(rgb, 0), [128, 128, 128]);
      const [[red, , blue], [, , moreBlue], [a, b, c]] = [colorAt(rgb, 4), colorAt(rgb, 6), colorAt(rgb, 5)];
      assert.ok(red > 200 && blue < 60 && moreBlue > 200);
      assert.ok(a === b && b === c);
    });
  }
});

describe("weighted tokens", () => {
  const text = "Hi <you> there";
  const tokens: WeightedToken[] = [
    { text: "[CLS]", start: -1, end: -1, weight: 0 },
    { text: "Hi", start: 0, end: 2, weight: 2 },
    { text: "<you>", start: 3, end: 8, weight: -1 },
    { text: "there", start: 9, end: 14, weight: 0 },
  ];

  it("colour a terminal, and leave every character where it was", () => {
    const colored = coloredText(text, tokens);

    assert.match(colored, /^\x1b\[48;5;160;38;5;231mHi\x1b\[0m \x1b\[48;5;147;38;5;16m<you>\x1b\[0m there$/);
    assert.equal(colored.replaceAll(/\x1b\[[\d;]*m/g, ""), text);
  });

  it("make a page that escapes what it shows", () => {
    const page = explanationPage("Why <x>", ["by occlusion"], text, tokens);

    assert.match(page, /<span style="background:rgba\(224,32,32,0\.800\)" title="2\.000">Hi<\/span> <span style="background:rgba\(32,96,224,0\.400\)" title="-1\.000">&lt;you&gt;<\/span>/);
    assert.match(page, /<h1>Why &lt;x&gt;<\/h1>/);
    assert.doesNotMatch(page, /<you>/);
  });
});
